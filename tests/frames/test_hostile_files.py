"""Hostile files: each costs a poster and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import mkstemp

import pytest
from videos import video

from reelhook.domain.archive_errors import FramesTimeoutError, FramesUnavailableError
from reelhook.frames.process import ProcessFrames
from reelhook.ports import Looked

READY = "import os, signal, time; os.write(1, b'{\"ready\": true}\\n'); "
STALL_SECONDS_MAX = 0.1


@pytest.fixture
async def dialled() -> AsyncIterator[tuple[str, list[str]]]:
    """Listen on a port; the list has the connections that were made to it."""
    made: list[str] = []

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append("connected")
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/secret.ts", made


async def longest_stall(work: Callable[[], Awaitable[object]]) -> float:
    """Return the longest time in which the event loop did nothing else. Best of three."""
    return min([await _stall(work) for _ in range(3)])


async def _stall(work: Callable[[], Awaitable[object]]) -> float:
    longest, running = 0.0, asyncio.ensure_future(work())
    while not running.done():
        began = time.perf_counter()
        await asyncio.sleep(0.002)
        longest = max(longest, time.perf_counter() - began)
    await running
    return longest


def pixel_bomb() -> bytes:
    """Return a small file whose frames claim to be 65,500 pixels wide and high."""
    content = bytearray(video("mov", "mjpeg", frames=3))
    side = (65500).to_bytes(2)
    position = 0
    # SOF0 (ITU-T T.81, B.2.2): marker, length, precision, height, width.
    while (position := content.find(b"\xff\xc0\x00\x11\x08", position + 1)) > 0:
        content[position + 5 : position + 9] = side * 2
    return bytes(content)


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}\n#EXTINF:5,\nfile:///etc/passwd\n",
    "concat": "ffconcat version 1.0\nfile '/etc/passwd'\nfile '{url}'\n",
    "dash": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>{url}"
    "</BaseURL><Period><AdaptationSet><Representation/></AdaptationSet></Period></MPD>",
}
FILES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"hello, I am a text\n" * 100,
    "cut off": lambda: video()[:1500],
    "cut off behind its index": lambda: video(path=mkstemp()[1])[:-200],
    "a header alone": lambda: video("webm", "libvpx")[:200],
    "a false header": lambda: b"\x00\x00\x00\x20ftypisom" + b"#EXTM3U\n/etc/passwd\n" * 500,
    "a false header of webm": lambda: b"\x1a\x45\xdf\xa3" + b"\xff" * 10_000,
    "a bomb of pixels": pixel_bomb,
    "a bomb of tracks": lambda: video(tracks=20, frames=2),
}


@pytest.mark.parametrize("name", FILES)
async def test_a_hostile_file_has_no_poster(tmp_path: Path, name: str) -> None:
    file = tmp_path / "video.mp4"
    file.write_bytes(content := FILES[name]())
    assert (await ProcessFrames().look(file)).poster is None
    assert await ProcessFrames().last_frame(file) is None
    assert file.read_bytes() == content


@pytest.mark.parametrize("name", PLAYLISTS)
async def test_a_playlist_is_not_followed(
    tmp_path: Path, dialled: tuple[str, list[str]], name: str
) -> None:
    url, made = dialled
    file = tmp_path / "video.mp4"
    playlist = PLAYLISTS[name].format(url=url).encode()
    for content in (
        playlist,
        b"\x00\x00\x00\x18ftypisom" + playlist,
        b"\x1a\x45\xdf\xa3" + playlist,
    ):
        file.write_bytes(content)
        assert await ProcessFrames().look(file) == Looked()
    assert not made


@pytest.mark.long
async def test_an_endless_file_ends(tmp_path: Path) -> None:
    file = tmp_path / "video.webm"
    with file.open("wb") as opened:
        opened.write(video("webm", "libvpx", frames=2)[:300])
        opened.truncate(1 << 40)
    assert (await ProcessFrames().look(file)).poster is None


@pytest.mark.parametrize(
    "crash",
    [
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.abort()",
        "[os.write(1, b'x' * 65536) for _ in iter(int, 1)]",
        "os.write(1, b'{\"image\": 9}\\nno image!')",
        "os.write(1, b'[' * 1000 + b'\\n')",
    ],
)
async def test_a_decoder_that_crashes_or_lies_costs_a_poster(tmp_path: Path, crash: str) -> None:
    file = tmp_path / "video"
    file.write_bytes(video(frames=2))
    frames = ProcessFrames(READY + crash)
    assert await frames.look(file) == Looked()
    # And the next one is decoded.
    frames.program = ProcessFrames().program
    assert (await frames.look(file)).poster is not None


async def test_a_decoder_that_hangs_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "video"
    file.touch()
    frames = ProcessFrames(READY + "time.sleep(1000)", wall_seconds=0.3)
    with pytest.raises(FramesTimeoutError):
        await frames.look(file)


async def test_a_decoder_that_does_not_start_is_no_fault_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "video"
    file.touch()
    with pytest.raises(FramesUnavailableError):
        await ProcessFrames("import no_such_module").look(file)
    with pytest.raises(FramesUnavailableError, match="No such file"):
        await ProcessFrames().look(tmp_path / "none")


async def test_decoding_does_not_stall_the_loop(tmp_path: Path) -> None:
    file = tmp_path / "video"
    file.write_bytes(video(size=(1280, 720), frames=12))
    assert await longest_stall(lambda: ProcessFrames().look(file)) < STALL_SECONDS_MAX
    crashing = ProcessFrames(READY + "os.abort()")
    assert await longest_stall(lambda: crashing.look(file)) < STALL_SECONDS_MAX
