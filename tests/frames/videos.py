"""Small videos for tests, each frame of one gray."""

from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream


def gray_at(number: int) -> int:
    """Return the gray of a frame: each is lighter than the one before."""
    return min(235, 60 + 5 * number)


def video(
    container: str = "mp4",
    codec: str = "libx264",
    *,
    frames: int = 24,
    size: tuple[int, int] = (64, 48),
    gray: Callable[[int], int] = gray_at,
    key_every: int = 12,
    audio: bool = False,
    tracks: int = 1,
    rotation: int = 0,
    path: str | None = None,
) -> bytes:
    """Return a video with 12 frames a second. In a file, an index comes first."""
    output = BytesIO() if path is None else path
    options = {"movflags": "+faststart"} if path else {}
    with av.open(output, "w", format=container, options=options) as muxer:
        streams = [_add(muxer, codec, size, key_every) for _ in range(tracks)]
        sound = muxer.add_stream("aac", rate=44100) if audio else None
        for stream in streams:
            if rotation:
                stream.set_display_rotation(rotation)
            for number in range(frames):
                frame = _frame(size, gray(number))
                frame.pts = number
                muxer.mux(stream.encode(frame))
            muxer.mux(stream.encode(None))
        if isinstance(sound, AudioStream):
            _add_silence(muxer, sound)
    return output.getvalue() if isinstance(output, BytesIO) else Path(output).read_bytes()


def _add(
    muxer: av.container.OutputContainer, codec: str, size: tuple[int, int], key_every: int
) -> VideoStream:
    stream = muxer.add_stream(codec, rate=12)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = size
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    stream.gop_size = key_every
    return stream


def _frame(size: tuple[int, int], gray: int) -> VideoFrame:
    width, height = size
    frame = VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, (gray, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


def _add_silence(muxer: av.container.OutputContainer, stream: AudioStream) -> None:
    frame = AudioFrame("fltp", "stereo", 1024)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
    muxer.mux(stream.encode(frame))
    muxer.mux(stream.encode(None))
