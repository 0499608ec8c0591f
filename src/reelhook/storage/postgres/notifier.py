"""Messages between processes on one PostgreSQL database, by coalesced NOTIFY.

They are never part of another transaction. A lost message only costs the delay of a poll.
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
STORE_POLL_SECONDS = 1.0
STATEMENT_SECONDS = 5.0
IDLE_SECONDS = 30.0
"""The time without a message after which the connection is tested."""
LAST_MESSAGE_SECONDS = 0.3
"""The time limit for sending the last messages."""


class PollingNotifier:
    """Replaces `Notifier` behind a pooler: the store is polled once a second."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def publish(self, name: str) -> None:
        """Do nothing: the other processes poll."""

    def start(self, on_message: Callable[[Sequence[str]], None]) -> None:
        """Start polling."""
        self._task = asyncio.create_task(self._poll(on_message))

    async def close(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _poll(self, on_message: Callable[[Sequence[str]], None]) -> None:
        while True:
            await asyncio.sleep(STORE_POLL_SECONDS)
            on_message(["changed"])


class Notifier:
    """Exchanges messages with other processes, on a separate connection."""

    def __init__(self, url: str) -> None:
        self._servers = Failover(url)
        self._names: set[str] = set()
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None

    def publish(self, name: str) -> None:
        """Send a name to the other processes, within `NOTIFY_SECONDS`."""
        self._names.add(name)
        self._due.set()

    def start(self, on_message: Callable[[Sequence[str]], None]) -> None:
        """Start sending and receiving."""
        self._task = asyncio.create_task(self._run(on_message))

    async def close(self) -> None:
        """Close the connection. The last messages are still sent if it works."""
        connection = self._connection
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if connection is not None:
            try:
                if self._names and not connection.is_closed():
                    async with asyncio.timeout(LAST_MESSAGE_SECONDS):
                        await self._send(connection)
            except FAILURES as error:
                log.warning("wire.lost", error=str(error))
            finally:
                connection.terminate()

    async def _run(self, on_message: Callable[[Sequence[str]], None]) -> None:
        while True:
            try:
                await self._exchange(on_message)
            except FAILURES as error:
                log.warning("wire.lost", error=str(error))
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _exchange(self, on_message: Callable[[Sequence[str]], None]) -> None:
        connection = await self._servers.connect(command_timeout=STATEMENT_SECONDS)
        self._connection = connection
        # Queried, because a pooler may make up the id that the connection itself reports.
        ours = await connection.fetchval("SELECT pg_backend_pid()")

        def received(_: object, pid: int, _channel: str, names: str) -> None:
            if pid != ours:
                on_message(names.split(","))

        connection.add_termination_listener(lambda _: self._due.set())
        self._due.set()  # for messages published in the meantime
        await connection.add_listener(CHANNEL, received)
        on_message(["changed"])  # jobs may have changed while nothing could be received
        while not connection.is_closed():
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._due.wait()
            except TimeoutError:  # a statement reveals an unnoticed disconnection
                await connection.execute("SELECT 1")
                continue
            await asyncio.sleep(NOTIFY_SECONDS)
            self._due.clear()
            if self._names:
                await self._send(connection)

    async def _send(self, connection: asyncpg.Connection) -> None:
        names, self._names = self._names, set()
        try:
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, ",".join(sorted(names)))
        except (asyncio.CancelledError, *FAILURES):
            self._names |= names
            raise
