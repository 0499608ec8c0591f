"""The wire between processes on one PostgreSQL database: coalesced NOTIFY.

Never inside anybody's transaction. What gets lost costs no more than a poll's delay.
"""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg
import structlog

from reelhook.storage.postgres.failover import FAILURES, Failover

log = structlog.get_logger()
CHANNEL = "reelhook"
NOTIFY_SECONDS = 0.05
RECONNECT_SECONDS = 1.0
LOOK_SECONDS = 1.0
STATEMENT_SECONDS = 5.0
IDLE_SECONDS = 30.0
"""How long nothing may be told before the connection is tried."""
CLOSE_SECONDS = 0.3
"""How long what was told last may take to go out."""


class PollingNotifier:
    """In place of a wire: what others changed is looked at once a second."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def tell(self, name: str) -> None:
        """Tell nobody: the others look by themselves."""

    def start(self, hear: Callable[[Sequence[str]], None]) -> None:
        """Begin to beat."""
        self._task = asyncio.create_task(self._beat(hear))

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self, hear: Callable[[Sequence[str]], None]) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            hear(["changed"])


class Notifier:
    """Wakes other processes, on a connection of its own."""

    def __init__(self, url: str) -> None:
        self._servers = Failover(url)
        self._names: set[str] = set()
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None

    def tell(self, name: str) -> None:
        """Pass a name on, within `NOTIFY_SECONDS`."""
        self._names.add(name)
        self._due.set()

    def start(self, hear: Callable[[Sequence[str]], None]) -> None:
        """Begin to tell and to hear."""
        self._task = asyncio.create_task(self._keep_up(hear))

    async def close(self) -> None:
        """Hang up. What was told last still goes out, unless the connection is lost."""
        connection = self._connection
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if connection is not None:
            try:
                if self._names and not connection.is_closed():
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await self._pass_on(connection)
            except FAILURES as error:
                log.warning("wire.lost", error=str(error))
            finally:
                connection.terminate()

    async def _keep_up(self, hear: Callable[[Sequence[str]], None]) -> None:
        while True:
            try:
                await self._talk(hear)
            except FAILURES as error:
                log.warning("wire.lost", error=str(error))
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _talk(self, hear: Callable[[Sequence[str]], None]) -> None:
        connection = await self._servers.connect(command_timeout=STATEMENT_SECONDS)
        self._connection = connection
        # Asked for, since a pooler makes up what the connection itself was told.
        ours = await connection.fetchval("SELECT pg_backend_pid()")

        def heard(_: object, pid: int, _channel: str, names: str) -> None:
            if pid != ours:
                hear(names.split(","))

        connection.add_termination_listener(lambda _: self._due.set())
        self._due.set()  # for what was told meanwhile
        await connection.add_listener(CHANNEL, heard)
        hear(["changed"])  # maybe, while nothing could be heard
        while not connection.is_closed():
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._due.wait()
            except TimeoutError:  # an end that nobody told of shows when something is sent
                await connection.execute("SELECT 1")
                continue
            await asyncio.sleep(NOTIFY_SECONDS)
            self._due.clear()
            if self._names:
                await self._pass_on(connection)

    async def _pass_on(self, connection: asyncpg.Connection) -> None:
        names, self._names = self._names, set()
        try:
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, ",".join(sorted(names)))
        except (asyncio.CancelledError, *FAILURES):
            self._names |= names
            raise
