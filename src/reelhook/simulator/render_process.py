"""The process that renders videos, seen from the server.

It is a process for two reasons. Loading and running the codec in a thread stalled the event loop
for 40 ms on an idle machine. And the process frees its hundred megabytes when it ends.
"""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict

from reelhook.simulator.job import Variant, VideoSpec


class RenderError(RuntimeError):
    """The video could not be rendered; the message is the renderer's."""


class Renderer:
    """Starts the process with the first video; not for concurrent use."""

    def __init__(self) -> None:
        self._process: Process | None = None

    async def render(self, video: VideoSpec, variant: Variant) -> bytes:
        """Return the video's bytes. Raises `RenderError`."""
        try:
            process = self._process = self._process or await _start()
            return await _ask(process, video, variant)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            await self.stop()
            raise RenderError("the process that renders videos ended unexpectedly") from error

    async def stop(self) -> None:
        """Stop the process at once, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Waits for the end and closes the pipes.
        await process.communicate()


async def _start() -> Process:
    # -P: files in the current folder must not shadow modules. Its own session: Ctrl-C on the
    # terminal is for the server. The process ends by itself when the server is gone.
    command = [sys.executable, "-P", "-m", "reelhook.simulator.encoder"]
    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, start_new_session=True
    )


async def _ask(process: Process, video: VideoSpec, variant: Variant) -> bytes:
    """Send an order as `encoder.main` expects it, and read the result."""
    assert process.stdin is not None  # noqa: S101 - it was started with pipes
    assert process.stdout is not None  # noqa: S101 - likewise
    process.stdin.write(json.dumps({"video": asdict(video), "variant": variant}).encode() + b"\n")
    await process.stdin.drain()
    header = json.loads(await process.stdout.readuntil(b"\n"))
    if "error" in header:
        raise RenderError(header["error"])
    return await process.stdout.readexactly(header["bytes"])
