"""The server's side of decoding: starts a confined process for each file, and checks its output.

The decoder has known and unknown faults, and files come from strangers. So it never runs in the
server's process, which does not even load it.
"""

import asyncio
import importlib.util
import json
import os
import re
import sys
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import reelhook
from reelhook.core.child_process import ChildProcess
from reelhook.domain.archive import VideoFacts
from reelhook.domain.archive_errors import FramesTimeoutError, FramesUnavailableError
from reelhook.ports import Looked

WALL_SECONDS = 100.0
OUTPUT_BYTES_MAX = 8 * 1024 * 1024
_LINE_BYTES_MAX = 1024
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_PROGRAM = (
    "import sys; sys.path += sys.argv[3:]; "
    "from reelhook.frames.confinement import end_with_the_server; "
    "end_with_the_server(int(sys.argv[1])); "
    "from reelhook.frames import child; child.main(sys.argv[2])"
)
_BEGINNINGS_AND_ENDS = (
    (b"\xff\xd8\xff", b"\xff\xd9"),
    (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
)
_CODEC = re.compile(r"[a-z0-9_]{1,32}")
_DURATION_MAX, _SIDE_MAX, _FRAME_RATE_MAX = 30 * 24 * 3600.0, 16_384, 1000.0


@dataclass
class _Output:
    """The output of a process, as far as it can be believed."""

    ready: bool = False
    facts: VideoFacts | None = None
    image: bytes | None = None


@dataclass
class ProcessFrames:
    """Implements `ports.Frames`. One file is decoded at a time."""

    program: str = _PROGRAM
    wall_seconds: float = WALL_SECONDS
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self, file: Path) -> Looked:
        """See `Frames.look`."""
        output = await self._run("poster", file)
        return Looked(output.facts, output.image)

    async def last_frame(self, file: Path) -> bytes | None:
        """See `Frames.last_frame`."""
        return (await self._run("last_frame", file)).image

    async def _run(self, order: str, file: Path) -> _Output:
        async with self._turn:
            try:
                async with asyncio.timeout(self.wall_seconds):
                    written = await self._written(order, file)
            except TimeoutError:
                raise FramesTimeoutError(self.wall_seconds) from None
        output = _read(written)
        if not output.ready:
            raise FramesUnavailableError("the process that decodes did not start")
        return output

    async def _written(self, order: str, file: Path) -> bytes:
        command = _command(self.program, order)
        async with ChildProcess(lambda: _started(command, file)) as process:
            return await process.run(_all_of)


def _opened(file: Path) -> FileIO:
    """Open a file for reading. Raises `FramesUnavailableError`."""
    try:
        return FileIO(file, opener=lambda path, _: os.open(path, _READ))
    except OSError as error:
        raise FramesUnavailableError(f"the file can't be opened ({error.strerror})") from None


def _command(program: str, order: str) -> list[str]:
    """Return the command. -I and -S: the process looks for modules in these folders alone."""
    decoder = importlib.util.find_spec("av")
    if decoder is None or decoder.origin is None:
        raise FramesUnavailableError("PyAV is not installed")
    folders = [str(Path(origin).parents[1]) for origin in (reelhook.__file__, decoder.origin)]
    return [sys.executable, "-I", "-S", "-B", "-c", program, str(os.getpid()), order, *folders]


def _started(command: list[str], file: Path) -> Popen[bytes]:
    """Start a process that has the file, its output, and no environment."""
    with _opened(file) as opened:
        try:
            return Popen(  # noqa: S603  # the command is ours
                command,
                stdin=opened,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise FramesUnavailableError(f"no process can be started ({error.strerror})") from None


def _all_of(process: Popen[bytes]) -> bytes:
    """Read the output up to its end, or until it is too long."""
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    return process.stdout.read(OUTPUT_BYTES_MAX + 1)


def _read(written: bytes) -> _Output:
    """Read lines of JSON up to the image, or up to the first line that can't be right."""
    output, position = _Output(), 0
    while (end := written.find(b"\n", position, position + _LINE_BYTES_MAX)) >= 0:
        try:
            line = json.loads(written[position:end])
        except (ValueError, RecursionError):
            break
        position = end + 1
        match line:
            case {"ready": True}:
                output.ready = True
            case {"facts": dict(facts)}:
                output.facts = _facts(facts)
            case {"image": int(size)}:
                output.image = _image(written[position:], size)
                break
            case _:
                break
    return output


def _image(content: bytes, size: int) -> bytes | None:
    whole = len(content) == size and any(
        content.startswith(beginning) and content.endswith(end)
        for beginning, end in _BEGINNINGS_AND_ENDS
    )
    return content if whole else None


def _facts(facts: dict[str, Any]) -> VideoFacts:
    codec, has_audio = facts.get("codec"), facts.get("has_audio")
    width, height = (_number(facts.get(side), _SIDE_MAX) for side in ("width", "height"))
    return VideoFacts(
        duration=_number(facts.get("duration"), _DURATION_MAX),
        width=None if width is None else round(width),
        height=None if height is None else round(height),
        frame_rate=_number(facts.get("frame_rate"), _FRAME_RATE_MAX),
        codec=codec if isinstance(codec, str) and _CODEC.fullmatch(codec) else None,
        has_audio=has_audio if isinstance(has_audio, bool) else None,
    )


def _number(found: object, largest: float) -> float | None:
    """Return a positive number; None if it is none, or larger than any video's."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if 0 < found <= largest else None
