"""Checks that a PostgreSQL database is the one that was written last.

A server that took over may lack the last commits of its predecessor, and the client just reconnects
without notice. So every transaction checks which database it is in.
"""

import contextlib
from typing import Any

import asyncpg

from reelhook.storage.operations.history import Past, kept, log_past, resume
from reelhook.storage.postgres.pipeline import Pipeline

# Chosen once: the advisory lock of a process that has found a different database.
_LOCK = 7_311_482_096
_WAIT_FOR_OTHERS = "SET LOCAL lock_timeout = '3s'"
_HERE = (
    "concat_ws('/', extract(epoch FROM pg_postmaster_start_time()),"
    " (SELECT oid FROM pg_database WHERE datname = current_database()),"
    " coalesce(CAST(to_regclass('keys') AS oid), 0))"
)
"""Differs on another server, after a restart, and in another database."""
_LASTING = (
    "SELECT system_identifier::text FROM pg_control_system()",
    "SELECT oid::text FROM pg_database WHERE datname = current_database()",
    "SELECT to_regclass('keys')::oid::text",
    "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",  # the timeline
)
"""Stays the same after a restart of the server; differs in a copy and after a failover."""


class TimelineCheck:
    """Begins transactions, and checks which database they are in."""

    def __init__(self) -> None:
        self._here: str | None = None

    async def begin(self, connection: Any, sql: str) -> None:
        """Run statements that begin a transaction in the same database as earlier ones.

        Raises one of `FAILURES`; the transaction may then be open.
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
        # It fails in a different database. Its reply is not needed, so it takes no round trip.
        return f"SELECT 1 / CAST({_HERE} = '{self._here}' AS INTEGER)"

    async def arrive(self, connection: Any) -> None:
        """Identify the database of the connection, and prepare it if it is a different one.

        Raises one of `FAILURES`.
        """
        here: str = await connection.fetchval(f"SELECT {_HERE}")
        if here.endswith("/0"):  # a database without our tables
            self._here = here
            return
        place = "/".join([await _if_permitted(connection, sql) for sql in _LASTING])
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


async def _if_permitted(connection: Any, sql: str) -> str:
    """Return the server's reply, or "-": not every service permits these queries."""
    with contextlib.suppress(asyncpg.PostgresError):
        return await connection.fetchval(sql) or "-"
    return "-"


def _past(value: str | None, place: str, here: str) -> Past:
    if value is None:
        return Past.NEW
    if value == f"{place} {here}":
        return Past.KNOWN
    return Past.INTERRUPTED if value.partition(" ")[0] == place else Past.RESTORED
