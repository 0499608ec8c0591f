"""Decodes one file: the program of the process that `process` starts.

Its input is the file, as descriptor 0. Its output is lines of JSON: `{"ready"}` once it is
confined, `{"facts"}` once or twice, and `{"image"}` with the number of bytes that follow.
"""

import io
import json
import os
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.audio.codeccontext
import av.audio.stream
import av.subtitles.codeccontext
import av.subtitles.stream
from av.codec import Codec
from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from reelhook.frames.confinement import confine

CPU_SECONDS = 40
WALL_SECONDS = 120
"""The server ends the process earlier, if there still is a server."""
PIXELS_MAX = 4096 * 4096
STREAMS_MAX = 16
READ_BYTES_MAX = 256 * 1024 * 1024
"""The most bytes that are read from the file, also if some are read again."""
POSTER_WIDTH_MAX = 1280
POSTER_FRAMES = 150
POSTER_CPU_SECONDS = 10.0
"""After so many frames, or so long, the brightest frame so far is the poster."""
POSTER_POSITION = 0.1
BLACK_LUMA = 24
"""A frame whose mean luma is at most this is black. In limited range, black is 16."""
STILL_BYTES_MAX = 3_500_000
"""A last frame that is larger as a PNG is a JPEG: Runway takes `data:` URIs below 5 MB."""
BROKEN_PACKETS_MAX = 16
LAST_WIDTH_MAX = 4096
_CODECS = "h264,hevc,libdav1d,av1,vp8,vp9,libvpx,libvpx-vp9,mpeg4,mjpeg,prores,aac,opus,mp3"
_TURNS = {90: ("cclock",), -90: ("clock",), 180: ("clock",) * 2, -180: ("clock",) * 2}
"""Filters for a rotation in degrees, counterclockwise."""


class DescriptorFile(io.FileIO):
    """The file to decode, of which only a limited number of bytes can be read."""

    def __init__(self) -> None:
        super().__init__(0, closefd=False)
        self._left = READ_BYTES_MAX

    def read(self, size: int | None = -1, /) -> bytes:
        """Read some bytes; none when too many were read."""
        content = super().read(size) or b""
        self._left -= len(content)
        return content if self._left >= 0 else b""


def main(order: str) -> None:
    """Carry out one order, "poster" or "last_frame", on the file that is descriptor 0."""
    file = DescriptorFile()
    size = os.fstat(0).st_size
    confine(cpu_seconds=CPU_SECONDS, wall_seconds=WALL_SECONDS)
    _write({"ready": True})
    demuxer = _demuxer(file)
    if demuxer is None:
        return
    with _opened(file, demuxer) as container:
        stream = next(
            stream
            for stream in container.streams.video
            if not stream.disposition & av.stream.Disposition.attached_pic
        )
        facts = _facts(container, stream)
        _write({"facts": facts})
        _check(container, stream, size)
        if order == "poster":
            frame = _poster_frame(container, stream)
            _write({"facts": {**facts, **_shown_size(frame)}})
            scaled = _scaled(frame, POSTER_WIDTH_MAX)
            image = _jpeg(_turned(scaled, frame.rotation), 4)
        else:
            image = _still(_last_frame(container, stream))
    _write({"image": len(image)}, image)


def _write(line: dict[str, Any], content: bytes = b"") -> None:
    left = memoryview(json.dumps(line).encode() + b"\n" + content)
    while left:
        left = left[os.write(1, left) :]


def _demuxer(file: DescriptorFile) -> str | None:
    """Return the demuxer by the first bytes; None if the file is not for one of ours."""
    beginning = file.read(12)
    file.seek(0)
    # Matroska: RFC 8794, section 11.2.1. The first box of a MOV file: QuickTime File Format.
    if beginning.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    is_mov = beginning[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}
    return "mov" if is_mov else None


def _refuse(url: str, *_: object) -> None:
    raise PermissionError(url)


def _opened(file: DescriptorFile, demuxer: str) -> InputContainer:
    return av.open(
        file,
        "r",
        format=demuxer,
        options={"max_pixels": str(PIXELS_MAX), "threads": "1"},
        container_options={
            "codec_whitelist": _CODECS,
            "enable_drefs": "0",
            "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm",
            "max_streams": str(STREAMS_MAX),
            "protocol_whitelist": "",
        },
        metadata_errors="replace",
        io_open=_refuse,
    )


def _facts(container: InputContainer, stream: VideoStream) -> dict[str, Any]:
    duration = None if container.duration is None else container.duration / av.time_base
    rate = stream.average_rate or stream.guessed_rate
    context = stream.codec_context
    return {
        "duration": duration,
        "width": context.width,
        "height": context.height,
        "frame_rate": float(rate) if rate else None,
        "codec": context.codec.canonical_name,
        "has_audio": bool(container.streams.audio),
    }


def _check(container: InputContainer, stream: VideoStream, size: int) -> None:
    """Refuse a file with too many pixels, or whose index points behind its end."""
    context = stream.codec_context
    if not 0 < context.width * context.height <= PIXELS_MAX:
        raise ValueError("too many pixels, or none")
    for entries in (stream.index_entries for stream in container.streams):
        if len(entries) and entries[-1].pos + entries[-1].size > size:
            raise ValueError("the file is cut off")


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode from the present position on. A few broken packets are left out."""
    context = stream.codec_context
    if not context.is_open:
        context.options = {"max_pixels": str(PIXELS_MAX)}
        context.thread_count = 1
        context.thread_type = "NONE"
    broken = 0
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            broken += 1
            if broken > BROKEN_PACKETS_MAX:
                raise


def _seek(container: InputContainer, stream: VideoStream, share: float) -> None:
    """Go to the first key frame after a share of the duration; to the first one if none is."""
    time_base = stream.time_base
    if not container.duration or not time_base:
        return
    start = stream.start_time or 0
    seconds = share * container.duration / av.time_base
    try:
        container.seek(start + round(seconds / time_base), stream=stream, backward=False)
    except av.FFmpegError:
        container.seek(start, stream=stream)


def _poster_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    """Return a frame from near the beginning that is not black, if one is found soon."""
    _seek(container, stream, POSTER_POSITION)
    end = time.process_time() + POSTER_CPU_SECONDS
    best: tuple[float, VideoFrame] | None = None
    for number, frame in enumerate(_frames(container, stream)):
        luma = _luma(frame)
        if best is None or luma > best[0]:
            best = luma, frame
        if luma > BLACK_LUMA or number >= POSTER_FRAMES or time.process_time() > end:
            break
    if best is None:
        raise ValueError("no frame")
    return best[1]


def _luma(frame: VideoFrame) -> float:
    gray = bytes(frame.reformat(32, 32, "gray", threads=1).planes[0])
    return sum(gray) / len(gray)


def _last_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    """Return the last frame; decoding begins at the last key frame."""
    if container.duration and stream.time_base:
        end = container.duration / av.time_base / stream.time_base
        container.seek((stream.start_time or 0) + round(end), stream=stream)
    last: VideoFrame | None = None
    for frame in _frames(container, stream):
        if last is None or (frame.pts or 0) >= (last.pts or 0):
            last = frame
    if last is None:
        raise ValueError("no frame")
    return last


def _is_quarter_turn(frame: VideoFrame) -> bool:
    return abs(frame.rotation) == 90


def _shown_size(frame: VideoFrame) -> dict[str, int]:
    """Return the size of a frame as it is shown: a quarter turn exchanges the sides."""
    width, height = frame.width, frame.height
    if _is_quarter_turn(frame):
        width, height = height, width
    return {"width": width, "height": height}


def _scaled(frame: VideoFrame, width_max: int) -> VideoFrame:
    """Return the frame for a JPEG, at most this wide as it is shown."""
    scale = min(1.0, width_max / _shown_size(frame)["width"])
    width, height = (max(1, round(scale * side)) for side in (frame.width, frame.height))
    return frame.reformat(width, height, "yuvj420p", interpolation="AREA", threads=1)


def _turned(frame: VideoFrame, degrees: int) -> VideoFrame:
    """Return the frame turned counterclockwise by quarter turns."""
    if degrees not in _TURNS:
        return frame
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    turns = [graph.add("transpose", direction) for direction in _TURNS[degrees]]
    graph.link_nodes(source, *turns, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def _still(frame: VideoFrame) -> bytes:
    """Return a frame as a PNG, or as a JPEG where a provider could refuse the PNG's size."""
    degrees = frame.rotation
    rgb = _turned(frame.reformat(format="rgb24", threads=1), degrees)
    still = _encoded("png", rgb)
    for quantizer in (2, 5, 12):
        if len(still) <= STILL_BYTES_MAX:
            break
        still = _jpeg(_turned(_scaled(frame, LAST_WIDTH_MAX), degrees), quantizer)
    return still


def _jpeg(frame: VideoFrame, quantizer: int) -> bytes:
    return _encoded("mjpeg", frame, qmin=str(quantizer), qmax=str(quantizer))


def _encoded(codec: str, frame: VideoFrame, **options: str) -> bytes:
    encoder = Codec(codec, "w").create("video")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = frame.format.name
    encoder.time_base = Fraction(1, 1000)
    encoder.thread_count = 1
    encoder.options = {"flags": "+bitexact", **options}
    frame.pts = 0
    frame.time_base = encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
