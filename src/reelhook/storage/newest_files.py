"""Where the newest finished files lie; asked beside whoever uses the database."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import apsw

from reelhook.domain.errors import SettingsError
from reelhook.storage.opening import Target
from reelhook.storage.sqlite import connect

_NEWEST = """
SELECT account, id, content_url
FROM (SELECT account, id, content_url FROM jobs ORDER BY created_at DESC, id DESC LIMIT 1000)
     AS newest
WHERE content_url LIKE 'http%'
"""


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """A job's file: the address that its provider named."""

    account: str
    job_id: str
    url: str


async def newest_files(target: Target) -> list[FinishedFile]:
    """Return the files of the newest 1,000 jobs, newest first; none without a schema.

    Raises `SettingsError` where the database can't be read.
    """
    if isinstance(target, Path):
        return await asyncio.to_thread(_of_file, target)
    from reelhook.storage import postgres  # noqa: PLC0415 - loaded where it is the database
    from reelhook.storage.postgres_refusals import refusal  # noqa: PLC0415 - as above
    from reelhook.storage.servers import FAILURES  # noqa: PLC0415 - as above

    connection = await postgres.connect(target)
    try:
        if await connection.fetchval("SELECT to_regclass('jobs')") is None:
            return []
        rows = await connection.fetch(_NEWEST)
    except FAILURES as error:
        raise refusal(error, "read") from None
    finally:
        await connection.close()
    return [FinishedFile(*row.values()) for row in rows]


def _of_file(path: Path) -> list[FinishedFile]:
    if not path.exists():
        return []
    connection = connect(path, read_only=True)
    try:
        rows = connection.execute(_NEWEST).fetchall()
    except apsw.SQLError:
        return []  # no such table or column: an empty database, or an old one
    except apsw.Error as error:
        raise SettingsError(f"The database {path} can't be read: {error}") from None
    finally:
        connection.close()
    return [FinishedFile(str(account), str(job_id), str(url)) for account, job_id, url in rows]
