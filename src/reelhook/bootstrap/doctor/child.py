"""Runs the doctor as a process of its own, so that its checks don't wait for a server's loop."""

import asyncio
import json
import sys
from collections.abc import Sequence
from subprocess import DEVNULL, PIPE, Popen

from reelhook.bootstrap.doctor.finding import Finding, Severity, failed
from reelhook.config import Settings
from reelhook.core.child_process import ChildProcess
from reelhook.guard.hosts import local_url

SECONDS_MAX = 60.0


async def examine_in_child(settings: Settings) -> Sequence[Finding]:
    """Return what `reelhook doctor` finds with the environment of this process.

    The data directory and the address are those of the server.
    """
    url = local_url(settings.host, settings.port)
    command = [sys.executable, "-m", "reelhook", "doctor", "--json"]
    command += ["--data-dir", str(settings.data_dir), "--url", url]

    def start() -> Popen[bytes]:
        # The command has no part that a caller chose.
        return Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)  # noqa: S603

    async with ChildProcess(start) as child:
        try:
            async with asyncio.timeout(SECONDS_MAX):
                printed, _ = await child.run(lambda process: process.communicate())
            found = json.loads(printed)["findings"]
        except (TimeoutError, ValueError, KeyError):
            return [failed("doctor", "did not end; run `reelhook doctor` on the server")]
    return [Finding(one["subject"], Severity(one["verdict"]), one["message"]) for one in found]
