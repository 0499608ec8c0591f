"""Reads the videos that jobs own at providers, also while a server is running."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelhook.domain.errors import SettingsError
from reelhook.domain.job import SUBMISSION_UNKNOWN
from reelhook.storage.error_text import no_database
from reelhook.storage.operation import Operation, Statement, Target
from reelhook.storage.operations.rows import prompt_of

_OWNED = "SELECT 1 FROM jobs WHERE account = ?1 AND provider_job_id = ?2"
_DOUBTFUL = (
    "SELECT id, script, direction FROM jobs WHERE code = ?1 AND doubt_closed_at IS NULL"
    " ORDER BY created_at, id LIMIT 1000"
)


@dataclass(frozen=True, slots=True)
class DoubtfulJob:
    """An unresolved job, with the prompt as it was sent."""

    id: str
    prompt: str


def unowned(accounts: Sequence[str], provider_job_ids: Sequence[str]) -> Operation[list[str]]:
    """Return the provider's ids that belong to no job of these accounts or of removed ones."""
    rows = yield Statement("SELECT id FROM accounts")
    known = list(dict.fromkeys([*accounts, *(row[0] for row in rows)]))
    left = []
    for provider_job_id in provider_job_ids:
        for account in known:
            if (yield Statement(_OWNED, (account, provider_job_id))):
                break
        else:
            left.append(provider_job_id)
    return left


def doubtful() -> Operation[list[DoubtfulJob]]:
    """Return the jobs that ended unresolved: a provider may or may not have them."""
    rows = yield Statement(_DOUBTFUL, (SUBMISSION_UNKNOWN,))
    return [DoubtfulJob(job_id, prompt_of(script, direction)) for job_id, script, direction in rows]


async def read(target: Target, operation: Operation[Any]) -> Any:
    """Run one read-only operation. A server may be using the database.

    Raises `SettingsError` if there is no database, or it cannot be read.
    """
    if isinstance(target, Path):
        return _read_file(target, operation)
    from reelhook.storage.postgres import driver as postgres  # noqa: PLC0415 - loaded only if it is the database
    from reelhook.storage.postgres.failover import FAILURES  # noqa: PLC0415 - as above
    from reelhook.storage.postgres.pipeline import Pipeline  # noqa: PLC0415 - as above

    connection = await postgres.connect(target)
    try:
        return await Pipeline(connection).run(operation)
    except FAILURES as error:
        raise SettingsError(f"The database of DATABASE_URL can't be read: {error}") from None
    finally:
        await connection.close()


def _read_file(path: Path, operation: Operation[Any]) -> Any:
    import apsw  # noqa: PLC0415 - loaded only if it is the database

    from reelhook.storage.sqlite.driver import connect, run  # noqa: PLC0415 - as above

    if not path.exists():
        raise no_database(path)
    with contextlib.closing(connect(path, read_only=True)) as connection:
        try:
            return run(connection, operation)
        except apsw.Error as error:
            raise SettingsError(f"The database {path} can't be read: {error}") from None
