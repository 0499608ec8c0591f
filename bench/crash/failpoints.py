"""Failpoints laid around the real parts of a worker, from outside: they hold no hook for this."""

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import apsw
from aiohttp import AddrInfoType

from bench.crash.plan import Failpoint, Kill
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.event import Instant
from reelhook.ports import Change, Lease, Resend, Sender, SignedRequest
from reelhook.storage.pending_write import PendingWrite
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store
from reelhook.webhooks.connection import open_socket

RESEND_BATCH = 8


class Failpoints:
    """Counts passages, and ends this process at the one that was chosen (None: at none)."""

    def __init__(self, kill: Kill | None) -> None:
        self.kill = kill
        self.passages: dict[Failpoint, int] = dict.fromkeys(Failpoint, 0)

    def is_due(self, point: Failpoint) -> bool:
        """Count a passage; return whether it is the last."""
        self.passages[point] += 1
        kill = self.kill
        return kill is not None and kill.point is point and kill.passage == self.passages[point]

    def reach(self, point: Failpoint) -> None:
        if self.is_due(point):
            die()

    def share_of(self, data: bytes) -> bytes:
        """Return what still gets out of a last write: at least a byte."""
        share = 1.0 if self.kill is None else self.kill.share
        return data[: max(1, round(len(data) * share))]


def die() -> NoReturn:
    """End like after a power cut: nothing is flushed, closed or told."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL was survived")


class CrashingSQLite(SQLite):
    """The driver; its writer's thread passes failpoints."""

    def __init__(self, path: Path, points: Failpoints) -> None:
        self._points = points
        self._left = 0
        super().__init__(path)

    def _commit(self, group: list[PendingWrite]) -> None:
        self._left = len(group)
        super()._commit(group)
        self._points.reach(Failpoint.COMMIT_UNTOLD)

    def _attempt(self, work: PendingWrite) -> None:
        super()._attempt(work)
        self._left -= 1
        if self._left:
            self._points.reach(Failpoint.WITHIN_BATCH)


class CrashingStore(Store):
    """The store; what records events and what resends passes failpoints."""

    def __init__(self, database: SQLite, points: Failpoints) -> None:
        super().__init__(database)
        self._points = points

    async def record(self, changes: Sequence[Change], lease: Lease | None) -> list[str]:
        written = await super().record(changes, lease)
        self._points.reach(Failpoint.AFTER_COMMIT)
        return written

    async def advance_resend(
        self, resend_id: str, limit: int, now: Instant, lease: Lease | None = None
    ) -> Resend:
        """Do a smaller batch than asked for, so that there are several."""
        resend = await super().advance_resend(resend_id, min(limit, RESEND_BATCH), now, lease)
        self._points.reach(Failpoint.WHILE_RESENDING)
        return resend


class CrashingSender:
    """A sender between two failpoints."""

    def __init__(self, sender: Sender, points: Failpoints) -> None:
        self._sender = sender
        self._points = points

    async def send(self, request: SignedRequest) -> WebhookResponse:
        self._points.reach(Failpoint.BEFORE_SEND)
        answer = await self._sender.send(request)
        self._points.reach(Failpoint.AFTER_ANSWER)
        return answer


class CrashingSocket(socket.socket):
    """A socket whose last write may be cut short. asyncio's own loop writes through these."""

    points: Failpoints

    def send(self, data: Any, flags: int = 0, /) -> int:
        if self.points.is_due(Failpoint.MID_REQUEST):
            super().send(self.points.share_of(bytes(data)), flags)
            die()
        return super().send(data, flags)

    def sendmsg(self, buffers: Any, *more: Any) -> int:
        # From 3.12 on the loop writes several buffers at once.
        return self.send(b"".join(buffers), *more)

    @classmethod
    def open(cls, info: AddrInfoType, points: Failpoints) -> "CrashingSocket":
        plain = open_socket(info)
        crashing = cls(plain.family, plain.type, plain.proto, plain.detach())
        crashing.points = points
        return crashing


class CrashingFiles(apsw.VFS):
    """The file system of SQLite; writes to the write-ahead log pass a failpoint.

    Everything that this process opens from now on goes through it.
    """

    def __init__(self, points: Failpoints) -> None:
        super().__init__("crashing", "unix", makedefault=True)
        self._points = points

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's name
        if flags[0] & apsw.SQLITE_OPEN_WAL:
            return _CrashingLog(name, flags, self._points)
        return apsw.VFSFile("unix", name, flags)


class _CrashingLog(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], points: Failpoints) -> None:
        super().__init__("unix", name, flags)
        self._points = points

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802  # SQLite's name
        if self._points.is_due(Failpoint.WITHIN_COMMIT):
            super().xWrite(self._points.share_of(bytes(data)), offset)
            die()
        super().xWrite(data, offset)
