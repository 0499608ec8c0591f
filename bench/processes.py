"""The processes of a measurement: stubs, and `reelhook serve` as a user starts it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]  # psutil ships no types

ROOT = Path(__file__).parent.parent
REELHOOK = Path(os.environ.get("BENCH_REELHOOK", Path(sys.executable).with_name("reelhook")))
READY_SECONDS_MAX = 120.0
EXIT_SECONDS_MAX = 60.0
CHILD_SECONDS_MAX = 2.0
"""A child that has just been started looks for its parent as soon as Python runs."""
KEPT = ("PATH", "HOME", "LANG", "PYTHONPATH")
"""What the server inherits of the environment."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def machine_cpu_seconds() -> float:
    """Return the CPU time that all processes of the machine have taken."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def process_cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, to the nanosecond: /proc counts in ticks of 10 ms.

    The clock's id is that of `clock_getcpuclockid` (Linux: include/linux/posix-timers_types.h).
    """
    return time.clock_gettime(~pid << 3 | 2)


def durable_writes(folder: Path) -> list[float]:
    """Return how long small durable writes take here: another's load shows in them."""
    took = []
    with (folder / "probe").open("wb", buffering=0) as probe:
        for _ in range(200):
            started = time.monotonic()
            probe.write(b"x" * 4096)
            os.fsync(probe.fileno())
            took.append(time.monotonic() - started)
            time.sleep(0.01)
    return took


class Stub:
    """One of our own modules in a process of its own, listening where it says."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start: exit {self._process.wait()}")
        self.ports: list[int] = json.loads(line)["ports"]
        self.url = f"http://127.0.0.1:{self.ports[0]}"

    def cpu_seconds(self) -> float:
        return process_cpu_seconds(self._process.pid)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Server:
    """`reelhook serve` on one data directory; it may be started, stopped and killed repeatedly."""

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        arguments: Sequence[str] = ("serve",),
        program: Sequence[str] = (str(REELHOOK),),
        *,
        port: int | None = None,
        ready_path: str = "/readyz",
    ) -> None:
        self._command = [*program, *arguments]
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._ready_path = ready_path
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self._folder = folder
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.environment = {
            **kept,
            "PORT": str(self.port),
            "REELHOOK_DATA_DIR": str(folder / "data"),
            "REELHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.spawned_at = 0.0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        with self.log.open("ab") as log:
            log.write(f"--- started at {time.time():.3f}\n".encode())
            log.flush()
            self.spawned_at = time.monotonic()
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def start(self) -> float:
        """Start and wait until it is ready; return the seconds that took."""
        self.spawn()
        return await self.ready()

    async def ready(self) -> float:
        """Wait for 200 from `/readyz`, or its own path; return the seconds since the start."""
        timeout = aiohttp.ClientTimeout(total=2)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while time.monotonic() - self.spawned_at < READY_SECONDS_MAX:
                if not self.running:
                    raise RuntimeError(
                        f"{self._command[0]} ended: {self.exit_code()}\n{self.last_lines()}"
                    )
                try:
                    async with session.get(self.url + self._ready_path) as answer:
                        if answer.status == 200:
                            return time.monotonic() - self.spawned_at
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(0.01)
        raise RuntimeError(
            f"{self._command[0]} was not ready in {READY_SECONDS_MAX} s\n{self.last_lines()}"
        )

    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[float, int]:
        """Send a signal; return the seconds until the exit, and its code."""
        assert self._process is not None
        started = time.monotonic()
        self._process.send_signal(number)
        try:
            code = await asyncio.to_thread(self._process.wait, EXIT_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        return time.monotonic() - started, code

    def pause(self) -> None:
        """Stop the process where it is, without its end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> list[int]:
        """Send SIGKILL to the process alone; return the children that outlived it."""
        assert self._process is not None
        children = self._family()[1:]
        self._process.kill()
        self._process.wait()
        _, left = psutil.wait_procs(children, timeout=CHILD_SECONDS_MAX)
        for child in left:
            child.kill()
        return [child.pid for child in left]

    def close(self) -> None:
        if self.running:
            self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def rss_mib(self) -> float:
        """Return the resident memory of the process and its children."""
        total: int = sum(member.memory_info().rss for member in self._family())
        return total / 2**20

    def cpu_seconds(self) -> float:
        return sum(process_cpu_seconds(member.pid) for member in self._family())

    def _family(self) -> list[psutil.Process]:
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def last_lines(self, count: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
