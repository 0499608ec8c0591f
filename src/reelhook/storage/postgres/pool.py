"""Connections to PostgreSQL: lent for a limited time, even if the server is unreachable."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Self

import asyncpg

from reelhook.storage.postgres.failover import FAILURES, Failover

CONNECTIONS = 4
ACQUIRE_SECONDS = 3.0
"""The time to wait for a connection if all are in use or none can be opened."""
STATEMENTS_KEPT = 200
POOL_CLOSE_SECONDS = 0.3
CANCEL_CHECK_SECONDS = 0.2
"""The interval of checks for cancellation. If the server is unreachable, a canceled borrower would
otherwise hang in its rollback until the deadline."""
# A process that freezes in a transaction, or is cut off from the server, holds its locks no longer
# than this. A lease lasts longer.  Two processes that lock the same rows in different orders
# deadlock, which the server detects only after a second. So a group releases its locks sooner and
# tries again (`group_commit`).  They are set after connecting, because poolers refuse them as
# connection parameters.
_SESSION = {"idle_in_transaction_session_timeout": "2000", "lock_timeout": "100"}


class _Connection(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """A connection that needs no reset, because its users leave no state on it."""

    def get_reset_query(self) -> str:
        """Return no query, which saves a round trip."""
        return ""


async def _begin_session(connection: asyncpg.Connection) -> None:
    await connection.execute("; ".join(f"SET {name} = {value}" for name, value in _SESSION.items()))


class _Deadline:
    """Closes a connection at its deadline, or soon after its borrower's task was canceled."""

    def __init__(self, connection: asyncpg.Connection, at: float) -> None:
        self._connection = connection
        self._at = at
        self._loop = asyncio.get_running_loop()
        self._borrower = asyncio.current_task()
        self._wait()

    def _wait(self) -> None:
        check_at = min(self._at, self._loop.time() + CANCEL_CHECK_SECONDS)
        self._timer = self._loop.call_at(check_at, self._check)

    def _check(self) -> None:
        canceled = self._borrower is not None and self._borrower.cancelling()
        if canceled or self._loop.time() >= self._at:
            self._connection.terminate()
        else:
            self._wait()

    def cancel(self) -> None:
        """Keep the connection open: it was returned."""
        self._timer.cancel()


class Pool:
    """Lends connections. Every method may raise one of `FAILURES`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, pooled: bool) -> Self:
        """Connect. Raises one of `FAILURES`, or `ValueError` for a wrong URL.

        `pooled`: the URL leads to a pooler in transaction mode, which keeps no prepared statements.
        """
        servers = Failover(url)

        async def connect(*_: object, **options: Any) -> asyncpg.Connection:
            return await servers.connect(**options)

        return cls(
            await asyncpg.create_pool(
                connect=connect,
                min_size=1,
                max_size=CONNECTIONS,
                statement_cache_size=0 if pooled else STATEMENTS_KEPT,
                init=None if pooled else _begin_session,
                connection_class=_Connection,
            )
        )

    @contextlib.asynccontextmanager
    async def borrowed(self, seconds: float) -> AsyncIterator[Any]:
        """Lend a connection for this long, including the time to get it. After that it is closed.

        A server that does not respond would not react to a cancellation either.
        """
        end_at = asyncio.get_running_loop().time() + seconds
        async with self._pool.acquire(timeout=min(seconds, ACQUIRE_SECONDS)) as connection:
            end = _Deadline(connection, end_at)
            try:
                yield connection
            except asyncio.CancelledError:
                # Returning it would wait for the server to cancel the query, for as long as
                # acquiring may take. That wait could not be canceled.
                connection.terminate()
                raise
            finally:
                end.cancel()

    async def renew(self) -> None:
        """Reopen every connection before it is lent again."""
        await self._pool.expire_connections()

    async def close(self) -> None:
        """Close all connections, even if the server does not respond."""
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(POOL_CLOSE_SECONDS):
                await self._pool.close()
