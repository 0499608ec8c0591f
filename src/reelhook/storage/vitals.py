"""Whether a database can be written, and what time it has; asked beside whoever uses it."""

import os
from dataclasses import dataclass
from pathlib import Path

from reelhook.domain.errors import SettingsError
from reelhook.domain.event import Instant
from reelhook.storage.opening import Target

_POSTGRES = """
SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS read_only,
       CASE WHEN to_regclass('jobs') IS NULL
            THEN coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
            ELSE has_table_privilege(to_regclass('jobs'), 'INSERT')
                 AND has_table_privilege(to_regclass('jobs'), 'UPDATE') END AS allowed,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
"""


@dataclass(frozen=True, slots=True)
class Vitals:
    """`refusal` None: it can be written. `now` None: its clock is this machine's."""

    refusal: str | None
    now: Instant | None


async def vitals(target: Target) -> Vitals:
    """Ask a database. Raises `SettingsError` where it can't be reached."""
    if isinstance(target, Path):
        return Vitals(_refusal_of_file(target), None)
    from reelhook.storage import postgres  # noqa: PLC0415 - loaded where it is the database
    from reelhook.storage.servers import FAILURES  # noqa: PLC0415 - as above

    connection = await postgres.connect(target)
    try:
        row = await connection.fetchrow(_POSTGRES)
    except FAILURES as error:
        raise SettingsError(f"The database of DATABASE_URL can't be read: {error}") from None
    finally:
        await connection.close()
    refusal = None
    if row["read_only"]:
        refusal = "it is a standby or read-only; name the primary in DATABASE_URL"
    elif not row["allowed"]:
        refusal = "its user may not write; grant it, or name another in DATABASE_URL"
    return Vitals(refusal, row["now"])


def _refusal_of_file(path: Path) -> str | None:
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"{path} can't be written; correct its mode or owner"
    directory = path.parent
    while not directory.exists():
        directory = directory.parent
    if not directory.is_dir() or not os.access(directory, os.W_OK | os.X_OK):
        return f"{directory} can't be written; choose another with REELHOOK_DATA_DIR"
    return None
