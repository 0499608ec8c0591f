"""Waiting at a start for a PostgreSQL database that is not up yet."""

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
AGAIN_SECONDS = 0.5
SAY_SECONDS = 5.0
"""How often it is said that the database is waited for."""
POOLER_SECONDS = 3.0
"""How long a second connection may take that only tells how a pooler works."""
_TRIES = 5


async def usable(url: str, *, pooled: bool, seconds: float) -> None:
    """Return once the database can be used; wait for it for about that many seconds.

    `pooled`: the settings are those for a pooler in transaction mode. Raises `SettingsError`: at
    once where waiting does not help.
    """
    loop = asyncio.get_running_loop()
    end, said = loop.time() + seconds, _Said(loop)
    while True:
        try:
            return await _look_aloud(url, said, pooled=pooled)
        except DatabaseAwayError as error:
            left = end - loop.time()
            if left <= 0:
                raise
            said.say(error.message, left)
        await asyncio.sleep(min(AGAIN_SECONDS, left))


class _Said:
    """Says every few seconds that the database is waited for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._next_at = 0.0

    def say(self, error: str, seconds_left: float | None = None) -> None:
        if self._loop.time() >= self._next_at:
            self._next_at = self._loop.time() + SAY_SECONDS
            left = {} if seconds_left is None else {"seconds_left": round(seconds_left)}
            log.warning("The database is not up yet and is waited for", error=error, **left)


async def _look_aloud(url: str, said: _Said, *, pooled: bool) -> None:
    """Look, and say so where that alone takes long."""
    look = asyncio.create_task(_look(url, pooled=pooled))
    try:
        while not (await asyncio.wait([look], timeout=SAY_SECONDS))[0]:
            said.say("It has not answered yet")
        look.result()
    finally:
        look.cancel()
        await asyncio.gather(look, return_exceptions=True)


async def _look(url: str, *, pooled: bool) -> None:
    async with _connection(url) as connection:
        try:
            told = await check_connection(connection)
            if told.refusal is not None:
                kind = DatabaseAwayError if told.may_pass else SettingsError
                raise kind(f"The database of DATABASE_URL can't be used: {told.refusal}")
            if told.pooler and not pooled and await _shares_connections(url, connection):
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


async def _shares_connections(url: str, one: asyncpg.Connection) -> bool:
    """Return whether two sessions meet the same process of the server, or one meets several."""
    with contextlib.suppress(SettingsError, *FAILURES):
        async with asyncio.timeout(POOLER_SECONDS), _connection(url) as other:
            met: tuple[set[int], set[int]] = set(), set()
            for _ in range(_TRIES):
                for session, processes in zip((one, other), met, strict=True):
                    async with session.transaction():
                        processes.add(await session.fetchval("SELECT pg_backend_pid()"))
            return len(met[0]) > 1 or met[0] == met[1]
    return False
