"""The archive's rows, read from the database of a running server."""

import asyncio
import sqlite3
from collections import Counter
from typing import Any

import asyncpg

from bench.stage import until

_ROWS = (
    "SELECT job_id, archive.state, sha256, jobs.provider_job_id FROM archive"
    " JOIN jobs ON jobs.id = archive.job_id"
)
_NAMES = ("job_id", "state", "sha256", "provider_job_id")


async def rows(database: str) -> list[dict[str, Any]]:
    """Return the files, from a URL of PostgreSQL or a path of SQLite."""
    if database.startswith("postgres"):
        connection = await asyncpg.connect(database)
        try:
            found = [tuple(row) for row in await connection.fetch(_ROWS)]
        finally:
            await connection.close()
    else:
        found = await asyncio.to_thread(_from_sqlite, database)
    return [dict(zip(_NAMES, row, strict=True)) for row in found]


def _from_sqlite(path: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(_ROWS).fetchall()
    finally:
        connection.close()


async def counts(database: str) -> Counter[str]:
    """Count the files by state."""
    return Counter(row["state"] for row in await rows(database))


async def stored(database: str, count: int, *, seconds: float) -> None:
    """Wait until that many files are stored, or the time is over."""

    async def enough() -> bool:
        return (await counts(database))["stored"] >= count

    await until(enough, seconds=seconds, every=0.2)
