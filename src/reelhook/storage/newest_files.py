"""Reads the newest files and records, also while a server is running."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from reelhook.domain.event import Instant
from reelhook.storage.operation import Target
from reelhook.storage.sqlite.driver import connect
from reelhook.storage.sqlite.refusals import refusal as refusal_of_file

_NEWEST = """
SELECT account, id, content_url
FROM (SELECT account, id, content_url FROM jobs ORDER BY created_at DESC, id DESC LIMIT 1000)
     AS newest
WHERE content_url LIKE 'http%'
"""


_NEWEST_TIME = """
SELECT max(created_at) FROM jobs
UNION ALL
SELECT occurred_at FROM (SELECT occurred_at FROM events ORDER BY position DESC LIMIT 1) AS last
"""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A job's file and its address at the provider."""

    account: str
    job_id: str
    url: str = field(repr=False)


async def newest_files(target: Target) -> list[ListedFile]:
    """Return the files of the newest 1,000 jobs, newest first; none without a schema.

    Raises `SettingsError` if the database cannot be read.
    """
    return [ListedFile(*map(str, row)) for row in await _rows(target, _NEWEST)]


async def newest_record_at(target: Target) -> Instant | None:
    """Return the time of the newest job or event, by the clock of its writer.

    None if there is none. Raises like `newest_files`.
    """
    rows = await _rows(target, _NEWEST_TIME)
    return max((row[0] for row in rows if row[0] is not None), default=None)


async def _rows(target: Target, sql: str) -> Sequence[Sequence[Any]]:
    if isinstance(target, Path):
        return await asyncio.to_thread(_of_file, target, sql)
    from reelhook.storage.postgres import driver as postgres  # noqa: PLC0415 - loaded only if it is the database
    from reelhook.storage.postgres.failover import FAILURES  # noqa: PLC0415 - as above
    from reelhook.storage.postgres.refusals import refusal  # noqa: PLC0415 - as above

    connection = await postgres.connect(target)
    try:
        if await connection.fetchval("SELECT to_regclass('jobs')") is None:
            return []
        return [tuple(row) for row in await connection.fetch(sql)]
    except FAILURES as error:
        raise refusal(error, "read") from None
    finally:
        await connection.close()


def _of_file(path: Path, sql: str) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    connection = connect(path, read_only=True)
    try:
        return connection.execute(sql).fetchall()
    except apsw.SQLError:
        return []  # no such table or column: an empty database, or an old one
    except apsw.Error as error:
        raise refusal_of_file(path, error, "read") from None
    finally:
        connection.close()
