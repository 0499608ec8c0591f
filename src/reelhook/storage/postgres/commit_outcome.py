"""Finds out the outcome of a PostgreSQL transaction whose reply to COMMIT was lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import structlog

from reelhook.storage.error_text import error_text
from reelhook.storage.operations.receipts import ASK, CLAIM, CommitOutcome, inline
from reelhook.storage.postgres.failover import FAILURES
from reelhook.storage.postgres.pool import Pool

log = structlog.get_logger()
FIND_OUT_SECONDS = 6.0
"""The time that a caller waits for the outcome. A restarting server is usually back by then."""
OUTCOME_RETRY_SECONDS = 0.1
BLOCKED_SECONDS = 0.3
"""The time for which an unfinished transaction may continue before the server must end it."""
END_SECONDS = 1.0
_LOCK_MILLISECONDS = 2000
# The transaction has lost its client, so only the server can end it, once it notices; behind a
# pooler that may be never. A transaction that waits for its standby is already committed here.
# Ending that wait would report success before the standby has the data.
_END_BLOCKING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = ANY (pg_blocking_pids($1)) AND wait_event IS DISTINCT FROM 'SyncRep'
"""


async def find_out(pool: Pool, receipt: str) -> CommitOutcome:
    """Return the outcome of the transaction; `UNKNOWN` if it cannot be determined in time."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    end = loop.time() + FIND_OUT_SECONDS
    while (left := end - loop.time()) > 0:
        # A cancellation may have closed the connection, which then raises another error.
        if task and task.cancelling():
            raise asyncio.CancelledError
        try:
            async with pool.borrowed(left) as connection:
                return await _settled(pool, connection, receipt)
        except FAILURES as error:
            log.debug("commit.not_cleared_up", receipt=receipt, error=error_text(error))
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                await pool.renew()  # another server may now be the primary
        await asyncio.sleep(OUTCOME_RETRY_SECONDS)
    return CommitOutcome.UNKNOWN


async def _settled(pool: Pool, connection: Any, receipt: str) -> CommitOutcome:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS:d}")
        process: int = await connection.fetchval("SELECT pg_backend_pid()")
        async with _ending_what_blocks(pool, process):
            await connection.execute(inline(CLAIM, receipt))
    written = await connection.fetchval(inline(ASK, receipt))
    return CommitOutcome.WRITTEN if written else CommitOutcome.NOT_WRITTEN


@contextlib.asynccontextmanager
async def _ending_what_blocks(pool: Pool, process: int) -> AsyncIterator[None]:
    """End the transaction that a claim waits for, if permitted. Only it has that receipt."""
    over = asyncio.Event()
    ending = asyncio.create_task(_end_what_blocks(pool, process, over))
    try:
        yield
    finally:
        over.set()
        await asyncio.wait([ending])


async def _end_what_blocks(pool: Pool, process: int, over: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BLOCKED_SECONDS):
            await over.wait()
            return
    with contextlib.suppress(*FAILURES):
        async with pool.borrowed(END_SECONDS) as connection:
            await connection.execute(_END_BLOCKING, process)
