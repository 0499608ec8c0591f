"""Finding out on PostgreSQL what became of a transaction whose response to COMMIT was lost."""

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
"""How long a caller waits for the outcome. A server that restarts is back by then."""
AGAIN_SECONDS = 0.1
BLOCKED_SECONDS = 0.3
"""How long the unfinished transaction may go on before its connection is closed at the server."""
END_SECONDS = 1.0
_LOCK_MILLISECONDS = 2000
# The transaction has lost its client, so nobody can end it any more but the server: by itself only
# when it notices, which behind a pooler may be never. One that waits for its standby is committed
# here; ending it would tell so before the standby has it.
_END_BLOCKING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = ANY (pg_blocking_pids($1)) AND wait_event IS DISTINCT FROM 'SyncRep'
"""


async def find_out(pool: Pool, receipt: str) -> CommitOutcome:
    """Return what became of the transaction; `UNKNOWN` if that can't be learned in time."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    end = loop.time() + FIND_OUT_SECONDS
    while (left := end - loop.time()) > 0:
        # A connection that is closed by a cancellation raises an error of its own in place of it.
        if task and task.cancelling():
            raise asyncio.CancelledError
        try:
            async with pool.borrowed(left) as connection:
                return await _settled(pool, connection, receipt)
        except FAILURES as error:
            log.debug("commit.not_cleared_up", receipt=receipt, error=error_text(error))
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                await pool.renew()  # another server may be the one that takes writes now
        await asyncio.sleep(AGAIN_SECONDS)
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
    """End the transaction that a claim waits for, where we may: nobody else has its receipt."""
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
