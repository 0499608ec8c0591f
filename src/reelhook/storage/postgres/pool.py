"""The connections to PostgreSQL: borrowed for a bounded time, from a server that may be away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Self

import asyncpg

from reelhook.storage.postgres.failover import FAILURES, Failover

CONNECTIONS = 4
ACQUIRE_SECONDS = 3.0
"""How long one waits for a connection, be it that all are lent or that none can be made."""
STATEMENTS_KEPT = 200
CLOSE_SECONDS = 0.3
LOOK_SECONDS = 0.2
"""How often one looks whether a borrower was told to stop: it gets no answer to its rollback from
a server that is away, and would stop when its time is over, not sooner."""
# Whoever is frozen in a transaction, or cut off from the server, holds its locks no longer than
# that. A lease takes longer to run out.
#
# Two processes that lock the same rows in another order wait for each other; the server notices
# after a second, which is long. So a group gives its locks up sooner, and tries again (`group`).
#
# They are set once connected, since poolers refuse them as parameters of the connection.
_SESSION = {"idle_in_transaction_session_timeout": "2000", "lock_timeout": "100"}


class _Connection(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """A connection on which nothing is left behind that would have to be reset."""

    def get_reset_query(self) -> str:
        """Save the round trip."""
        return ""


async def _begin_session(connection: asyncpg.Connection) -> None:
    await connection.execute("; ".join(f"SET {name} = {value}" for name, value in _SESSION.items()))


class _End:
    """Closes a connection at its time, or soon after its borrower's task was canceled."""

    def __init__(self, connection: asyncpg.Connection, at: float) -> None:
        self._connection = connection
        self._at = at
        self._loop = asyncio.get_running_loop()
        self._borrower = asyncio.current_task()
        self._wait()

    def _wait(self) -> None:
        look_at = min(self._at, self._loop.time() + LOOK_SECONDS)
        self._timer = self._loop.call_at(look_at, self._look)

    def _look(self) -> None:
        canceled = self._borrower is not None and self._borrower.cancelling()
        if canceled or self._loop.time() >= self._at:
            self._connection.terminate()
        else:
            self._wait()

    def cancel(self) -> None:
        """Leave it open: it was given back."""
        self._timer.cancel()


class Pool:
    """Lends connections. Every method may raise one of `FAILURES`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, pooled: bool) -> Self:
        """Connect. Raises one of `FAILURES`, or `ValueError` for a wrong URL.

        `pooled`: there is a pooler in transaction mode between us and the server, which keeps no
        prepared statement.
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
        """Lend a connection. Who has not given it back by then, the time to get it included, finds
        it closed: a server that does not answer takes no word to stop either.
        """
        end_at = asyncio.get_running_loop().time() + seconds
        async with self._pool.acquire(timeout=min(seconds, ACQUIRE_SECONDS)) as connection:
            end = _End(connection, end_at)
            try:
                yield connection
            except asyncio.CancelledError:
                # To give it back would be to wait until the server has stopped what was asked, for
                # as long as getting it may take; and who waits there is canceled no more.
                connection.terminate()
                raise
            finally:
                end.cancel()

    async def renew(self) -> None:
        """Have every connection made anew before it is lent again."""
        await self._pool.expire_connections()

    async def close(self) -> None:
        """Close all connections, of a server that does not answer too."""
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
