"""`reelhook worker` as a user starts it, several of them, each recognizable from outside."""

import asyncio
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import REELHOOK
from reelhook.domain.signing_keys import PrivateKey, private_text

STARTED = b"polling service started"
START_SECONDS_MAX = 120.0


@dataclass(slots=True)
class Life:
    """One run of a worker. Its provider key and its signature tell what it did."""

    name: str
    key: PrivateKey
    process: "subprocess.Popen[bytes]"
    started_at: float
    ended_at: float | None = None


@dataclass(slots=True)
class Workers:
    """The workers on one database."""

    folder: Path
    environment: dict[str, str]
    lives: list[Life] = field(default_factory=list)

    def start(self) -> Life:
        name = f"worker-{len(self.lives)}"
        seed = os.urandom(32)
        environment = {
            **self.environment,
            "OPENAI_API_KEY": name,
            "REELHOOK_WEBHOOK_PRIVATE_KEY": private_text(seed),
            "VERBOSE_LOGGING": "true",
        }
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                [str(REELHOOK), "worker"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        life = Life(name, PrivateKey.of(seed), process, time.monotonic())
        self.lives.append(life)
        return life

    @property
    def running(self) -> list[Life]:
        return [one for one in self.lives if one.ended_at is None]

    async def ready(self) -> None:
        """Wait until all of them work."""
        end = time.monotonic() + START_SECONDS_MAX
        while not all(STARTED in self._log(one.name).read_bytes() for one in self.running):
            if time.monotonic() > end:
                raise RuntimeError(f"a worker did not start in {START_SECONDS_MAX} s")
            await asyncio.sleep(0.05)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def kill(self, life: Life) -> None:
        life.ended_at = time.monotonic()
        life.process.kill()
        life.process.wait()

    async def stop(self, life: Life) -> tuple[float, int]:
        """Send SIGTERM; return the seconds until the exit, and its code."""
        life.ended_at = time.monotonic()
        life.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(life.process.wait, 20)
        return time.monotonic() - life.ended_at, code

    def close(self) -> None:
        for life in self.lives:
            if life.process.poll() is None:
                life.process.kill()
                life.process.wait()
