"""Telling on PostgreSQL whether the database is the one that was written last.

A server that took over may lack the last commits of the other one, and nobody says so: the
connection is made again, and that is all. So every transaction asks where it is.
"""

import contextlib
from typing import Any

import asyncpg

from reelhook.storage.operations.history import Past, kept, log_past, resume
from reelhook.storage.postgres.pipeline import Pipeline

# Chosen once: the advisory lock of the process that finds another database than before.
_LOCK = 7_311_482_096
_WAIT_FOR_OTHERS = "SET LOCAL lock_timeout = '3s'"
_HERE = (
    "concat_ws('/', extract(epoch FROM pg_postmaster_start_time()),"
    " (SELECT oid FROM pg_database WHERE datname = current_database()),"
    " coalesce(CAST(to_regclass('keys') AS oid), 0))"
)
"""What is another one on another server, after its start, and in another database."""
_LASTING = (
    "SELECT system_identifier::text FROM pg_control_system()",
    "SELECT oid::text FROM pg_database WHERE datname = current_database()",
    "SELECT to_regclass('keys')::oid::text",
    "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",  # the timeline
)
"""What stays when the same server is started again, and differs in a copy and after a failover."""


class TimelineCheck:
    """Begins transactions, after having found out where they are."""

    def __init__(self) -> None:
        self._here: str | None = None

    async def begin(self, connection: Any, sql: str) -> None:
        """Run statements that begin a transaction, and make sure that it is where others were.

        Raises one of `FAILURES`, with the transaction open or not.
        """
        if self._here is None:
            await self.arrive(connection)
        try:
            await connection.execute(f"{sql}; {self._check()}")
        except asyncpg.DivisionByZeroError:
            await connection.execute("ROLLBACK;")
            await self.arrive(connection)
            await connection.execute(f"{sql}; {self._check()}")

    def _check(self) -> str:
        # A statement that fails where we are elsewhere needs no answer, so no round trip.
        return f"SELECT 1 / CAST({_HERE} = '{self._here}' AS INTEGER)"

    async def arrive(self, connection: Any) -> None:
        """Find out where the connection leads, and prepare the database where it is another one.

        Raises one of `FAILURES`.
        """
        here: str = await connection.fetchval(f"SELECT {_HERE}")
        if here.endswith("/0"):  # a database without our tables
            self._here = here
            return
        place = "/".join([await _maybe(connection, sql) for sql in _LASTING])
        async with connection.transaction():
            await connection.execute(_WAIT_FOR_OTHERS)
            await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            pipeline = Pipeline(connection)
            value = await pipeline.run(kept())
            past = _past(value, place, here)
            if past is not Past.KNOWN:
                await pipeline.run(resume(past, f"{place} {here}"))
        self._here = here
        log_past(past)


async def _maybe(connection: Any, sql: str) -> str:
    """Return what the server tells; not every service lets everybody ask."""
    with contextlib.suppress(asyncpg.PostgresError):
        return await connection.fetchval(sql) or "-"
    return "-"


def _past(value: str | None, place: str, here: str) -> Past:
    if value is None:
        return Past.NEW
    if value == f"{place} {here}":
        return Past.KNOWN
    return Past.INTERRUPTED if value.partition(" ")[0] == place else Past.RESTORED
