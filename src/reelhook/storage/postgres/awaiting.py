"""Waits, at start, for a PostgreSQL database that is not up yet."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import structlog

from reelhook.domain.errors import SettingsError
from reelhook.storage.postgres import driver as postgres
from reelhook.storage.postgres.failover import FAILURES
from reelhook.storage.postgres.refusals import DatabaseAwayError, refusal
from reelhook.storage.preflight import check_connection

log = structlog.get_logger()
RETRY_SECONDS = 0.5
LOG_SECONDS = 5.0
"""The interval at which the wait is logged."""
POOLER_SECONDS = 3.0
"""The time limit of the second connection, which only detects the mode of a pooler."""
_TRIES = 5


async def wait_until_usable(url: str, *, pooled: bool, seconds: float) -> None:
    """Return once the database can be used. Wait for about `seconds` at most.

    `pooled`: the settings are those for a pooler in transaction mode. Raises `SettingsError`,
    immediately if waiting does not help.
    """
    loop = asyncio.get_running_loop()
    deadline, progress = loop.time() + seconds, _WaitLog(loop)
    while True:
        try:
            return await _check_and_log(url, progress, pooled=pooled)
        except DatabaseAwayError as error:
            left = deadline - loop.time()
            if left <= 0:
                raise
            progress.log(error.message, left)
        await asyncio.sleep(min(RETRY_SECONDS, left))


class _WaitLog:
    """Logs every few seconds that the start waits for the database."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._next_at = 0.0

    def log(self, error: str, seconds_left: float | None = None) -> None:
        if self._loop.time() >= self._next_at:
            self._next_at = self._loop.time() + LOG_SECONDS
            left = {} if seconds_left is None else {"seconds_left": round(seconds_left)}
            log.warning("The database is not up yet; waiting for it", error=error, **left)


async def _check_and_log(url: str, progress: _WaitLog, *, pooled: bool) -> None:
    """Check the database, and log the wait if the check takes long."""
    check = asyncio.create_task(_check(url, pooled=pooled))
    try:
        while not (await asyncio.wait([check], timeout=LOG_SECONDS))[0]:
            progress.log("It has not responded yet")
        check.result()
    finally:
        check.cancel()
        await asyncio.gather(check, return_exceptions=True)


async def _check(url: str, *, pooled: bool) -> None:
    async with _connection(url) as connection:
        try:
            checked = await check_connection(connection)
            if checked.refusal is not None:
                kind = DatabaseAwayError if checked.may_pass else SettingsError
                raise kind(f"The database of DATABASE_URL can't be used: {checked.refusal}")
            if checked.pooler and not pooled and await _shares_connections(url, connection):
                raise SettingsError(
                    "DATABASE_URL leads to a pooler that shares connections between transactions; "
                    "set REELHOOK_WAKE_UPS=false, or set the pooler to session mode"
                )
        except FAILURES as error:
            raise refusal(error, "read") from None


@contextlib.asynccontextmanager
async def _connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await postgres.connect(url)
    try:
        yield connection
    finally:
        await postgres.hang_up(connection)


async def _shares_connections(url: str, first: asyncpg.Connection) -> bool:
    """Return True if two sessions reach the same server process, or one reaches several."""
    with contextlib.suppress(SettingsError, *FAILURES):
        async with asyncio.timeout(POOLER_SECONDS), _connection(url) as second:
            seen: tuple[set[int], set[int]] = set(), set()
            for _ in range(_TRIES):
                for session, processes in zip((first, second), seen, strict=True):
                    async with session.transaction():
                        processes.add(await session.fetchval("SELECT pg_backend_pid()"))
            return len(seen[0]) > 1 or seen[0] == seen[1]
    return False
