"""The process that renders videos, seen from the server.

It is a process for two reasons. Loading and running the codec in a thread stalled the event loop
for 40 ms on an idle machine. And the process frees its hundred megabytes when it ends.
"""

import json
import os
import sys
from dataclasses import asdict
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory

from reelhook.core.child_process import ChildProcess
from reelhook.simulator.job import Variant, VideoSpec


class RenderError(RuntimeError):
    """The video could not be rendered; the message is the renderer's."""


class Renderer:
    """Starts the process with the first video; not for concurrent use."""

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None
        self._process = ChildProcess(self._start)

    async def render(self, video: VideoSpec, variant: Variant) -> bytes:
        """Return the video's bytes. Raises `RenderError`."""
        try:
            return await self._process.run(lambda process: _ask(process, video, variant))
        except (OSError, ValueError) as error:
            await self.stop()
            self._process = ChildProcess(self._start)
            raise RenderError("the process that renders videos ended unexpectedly") from error

    async def stop(self) -> None:
        """Stop the process at once, if there is one."""
        await self._process.end()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start(self) -> Popen[bytes]:
        # The process is killed while it renders, so its files are in a folder of this process.
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="reelhook-video-", ignore_cleanup_errors=True)
        # -P: files in the current folder must not shadow modules. Its own session: Ctrl-C on the
        # terminal is for the server. The process ends by itself when the server is gone.
        command = [sys.executable, "-P", "-m", "reelhook.simulator.encoder"]
        return Popen(  # noqa: S603  # the command is ours
            command,
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
            env={**os.environ, "TMPDIR": self._folder.name},
        )


def _ask(process: Popen[bytes], video: VideoSpec, variant: Variant) -> bytes:
    """Send an order as `encoder.main` expects it, and read the result."""
    assert process.stdin is not None  # noqa: S101 - it was started with pipes
    assert process.stdout is not None  # noqa: S101 - likewise
    process.stdin.write(json.dumps({"video": asdict(video), "variant": variant}).encode() + b"\n")
    process.stdin.flush()
    header = json.loads(process.stdout.readline())
    if "error" in header:
        raise RenderError(header["error"])
    content = process.stdout.read(header["bytes"])
    if len(content) < header["bytes"]:
        raise ValueError("the video is incomplete")
    return content
