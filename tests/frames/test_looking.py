"""Posters, facts and last frames of sound videos."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageStat
from videos import gray_at, video

from reelhook.domain.archive import VideoFacts
from reelhook.frames.process import ProcessFrames
from reelhook.ports import Looked


@pytest.fixture
def frames() -> ProcessFrames:
    return ProcessFrames()


async def looked(frames: ProcessFrames, folder: Path, content: bytes) -> Looked:
    file = folder / "video"
    file.write_bytes(content)
    return await frames.look(file)


def gray_of(image: bytes) -> float:
    return float(ImageStat.Stat(Image.open(BytesIO(image)).convert("L")).mean[0])


@pytest.mark.parametrize(
    ("container", "codec", "name"),
    [
        ("mp4", "libx264", "h264"),
        ("mov", "mpeg4", "mpeg4"),
        ("webm", "libvpx-vp9", "vp9"),
        ("webm", "libvpx", "vp8"),
        ("mp4", "libsvtav1", "av1"),
    ],
)
async def test_a_video_shows_its_facts_and_a_poster(
    frames: ProcessFrames, tmp_path: Path, container: str, codec: str, name: str
) -> None:
    found = await looked(frames, tmp_path, video(container, codec))
    assert found.facts == VideoFacts(2.0, 64, 48, 12.0, name, has_audio=False)
    assert found.poster is not None
    assert Image.open(BytesIO(found.poster)).size == (64, 48)


async def test_sound_is_noticed(frames: ProcessFrames, tmp_path: Path) -> None:
    found = await looked(frames, tmp_path, video(audio=True))
    assert found.facts is not None
    assert found.facts.has_audio


async def test_a_poster_is_not_black_if_the_video_begins_black(
    frames: ProcessFrames, tmp_path: Path
) -> None:
    black = 20
    content = video(gray=lambda number: 16 if number < black else 200, frames=30, key_every=100)
    poster = (await looked(frames, tmp_path, content)).poster
    assert poster is not None
    assert gray_of(poster) > 150


async def test_a_poster_is_at_most_1280_pixels_wide(frames: ProcessFrames, tmp_path: Path) -> None:
    found = await looked(frames, tmp_path, video(size=(2000, 1000), frames=2))
    assert found.facts is not None
    assert found.facts.width == 2000
    assert found.poster is not None
    assert Image.open(BytesIO(found.poster)).size == (1280, 640)


async def test_a_turned_video_is_shown_upright(frames: ProcessFrames, tmp_path: Path) -> None:
    found = await looked(frames, tmp_path, video(rotation=90))
    assert found.facts is not None
    assert (found.facts.width, found.facts.height) == (48, 64)
    assert found.poster is not None
    assert Image.open(BytesIO(found.poster)).size == (48, 64)


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("webm", "libvpx-vp9")])
async def test_the_last_frame_is_the_last(
    frames: ProcessFrames, tmp_path: Path, container: str, codec: str
) -> None:
    file = tmp_path / "video"
    file.write_bytes(video(container, codec, frames=22))
    last = await frames.last_frame(file)
    assert last is not None
    assert last.startswith(b"\x89PNG")
    # In limited range, black is 16 and white is 235.
    assert gray_of(last) == pytest.approx((gray_at(21) - 16) * 255 / 219, abs=2)
    assert await frames.last_frame(file) == last
