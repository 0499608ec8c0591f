"""Renders videos with libx264: the program of the renderer's process.

Only this process imports the codec and the drawing library; `render_process` is the server's side.
"""

import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, assert_never

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from reelhook.simulator.job import Variant, VideoSpec
from reelhook.simulator.title_card import TitleCard

FRAMES_PER_SECOND = 24
TILES_ACROSS, TILES_DOWN = 4, 3

_TILE_SIDE_MAX = 320


def render(video: VideoSpec, variant: Variant) -> bytes:
    """Return the video: an MP4 (H.264, yuv420p, index first), a WebP still or a JPEG of tiles."""
    card = TitleCard(video)
    match variant:
        case Variant.VIDEO:
            return _mp4(card, video)
        case Variant.THUMBNAIL:
            return _image(card.frame(video.seconds / 2), "WEBP")
        case Variant.SPRITESHEET:
            return _image(_sheet(card, video), "JPEG")
        case _:
            assert_never(variant)


def _mp4(card: TitleCard, video: VideoSpec) -> bytes:
    # In a file, because moving the index to the front requires reading the written data.
    with tempfile.TemporaryDirectory(prefix="reelhook-video-") as folder:
        path = Path(folder, "video.mp4")
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            container.metadata["title"] = video.prompt[:200].encode("utf-8", "replace").decode()
            stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
            _set_up(stream, video)
            for frame in _frames(card, video):
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()


def _set_up(stream: VideoStream, video: VideoSpec) -> None:
    stream.width, stream.height = video.width, video.height
    stream.pix_fmt = "yuv420p"
    stream.options = {"preset": "ultrafast", "crf": "23"}


def _frames(card: TitleCard, video: VideoSpec) -> Iterator[VideoFrame]:
    for number in range(video.seconds * FRAMES_PER_SECOND):
        image = card.frame(number / FRAMES_PER_SECOND)
        yield VideoFrame.from_image(image)  # type: ignore[no-untyped-call]  # PyAV left it untyped


def _sheet(card: TitleCard, video: VideoSpec) -> Image.Image:
    scale = min(1.0, _TILE_SIDE_MAX / max(video.width, video.height))
    width, height = round(scale * video.width), round(scale * video.height)
    sheet = Image.new("RGB", (width * TILES_ACROSS, height * TILES_DOWN))
    tiles = TILES_ACROSS * TILES_DOWN
    for tile in range(tiles):
        down, across = divmod(tile, TILES_ACROSS)
        frame = card.frame(video.seconds * tile / tiles)
        sheet.paste(frame.resize((width, height)), (across * width, down * height))
    return sheet


def _image(image: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format)
    return buffer.getvalue()


def main(orders: BinaryIO, videos: BinaryIO) -> None:
    """Read orders `{"video", "variant"}`, one per line; write a line `{"bytes"}` and the bytes.

    The response to a failed order is `{"error"}`. Ends when stdin closes, and so with
    the process that sends the orders.
    """
    for line in orders:
        try:
            order = json.loads(line)
            content = render(VideoSpec(**order["video"]), Variant(order["variant"]))
            header: dict[str, object] = {"bytes": len(content)}
        except Exception as error:
            # Any error becomes a response, and the next order is carried out.
            content, header = b"", {"error": f"{type(error).__name__}: {error}"}
        videos.write(json.dumps(header).encode() + b"\n" + content)
        videos.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
