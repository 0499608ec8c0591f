"""Finds the processes that use a PostgreSQL database. A SQLite file has one, which locks it."""

from typing import TYPE_CHECKING

from reelhook.ports import SEEN_MILLISECONDS_MAX
from reelhook.storage.schema.applying import run_in_loop

if TYPE_CHECKING:
    from asyncpg import Connection

# Processes of a schema before 0015 announce themselves only if they work. One that serves the API
# alone is recognised by the session of its notifier, which has no other last statement than these.
# Most other programs have an `application_name`.
_SESSIONS = """
SELECT 'a session from ' || coalesce(host(client_addr), 'this machine') || ', pid ' || pid
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND application_name = current_setting('application_name')
  AND query IN ('LISTEN "reelhook"', 'SELECT pg_notify($1, $2)', 'SELECT 1')
ORDER BY pid
"""


def processes_on(url: str) -> list[str]:
    """Return the names of the processes that use this database."""
    alive: list[str] = run_in_loop(_alive(url))
    return alive


async def _alive(url: str) -> list[str]:
    from reelhook.storage.postgres import driver as postgres  # noqa: PLC0415 - loaded only if it is the database
    from reelhook.storage.postgres.failover import FAILURES  # noqa: PLC0415 - as above
    from reelhook.storage.postgres.refusals import refusal  # noqa: PLC0415 - as above

    connection = await postgres.connect(url)
    try:
        alive = await _seen(connection, "processes") | await _seen(connection, "workers")
        return sorted(alive) or await _sessions_of_earlier_versions(connection)
    except FAILURES as error:
        raise refusal(error, "read") from None
    finally:
        await connection.close()


async def _seen(connection: "Connection", table: str) -> set[str]:
    if not await _exists(connection, table):
        return set()
    # A process that is alive replaces a time that it stored before the clock was set back.
    await connection.execute(
        f"DELETE FROM {table} WHERE seen_until > now_ms() + $1", SEEN_MILLISECONDS_MAX
    )
    rows = await connection.fetch(f"SELECT id FROM {table} WHERE seen_until > now_ms()")
    return {row[0] for row in rows}


async def _sessions_of_earlier_versions(connection: "Connection") -> list[str]:
    if await _exists(connection, "processes") or not await _exists(connection, "workers"):
        return []
    if await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid():
        return []  # a pooler keeps sessions after their clients have left
    return [row[0] for row in await connection.fetch(_SESSIONS)]


async def _exists(connection: "Connection", table: str) -> bool:
    return bool(await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", table))
