"""The work of another process on the same PostgreSQL database, stopped within its transaction."""

import asyncio

import asyncpg

from reelhook.storage.operation import Operation
from reelhook.storage.postgres.pipeline import Pipeline


async def transaction(url: str, operation: Operation[object]) -> asyncpg.Connection:
    """Run an operation in a transaction of another process that does not commit yet."""
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN")
    pipeline = Pipeline(connection)
    await pipeline.run(operation)
    await pipeline.finish()
    return connection


async def commit(connection: asyncpg.Connection) -> None:
    """Commit the other process's transaction, and close its connection."""
    await connection.execute("COMMIT")
    await connection.close()


async def waits_for_a_lock(url: str) -> None:
    """Return once a connection waits for a lock."""
    connection = await asyncpg.connect(url)
    async with asyncio.timeout(20):
        while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            pass  # the round trip gives way to the others
    await connection.close()
