"""Checks that a database is usable, and reads its clock, without disturbing a running server."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelhook.domain.errors import SettingsError
from reelhook.domain.event import Instant
from reelhook.storage.operation import Target
from reelhook.storage.transfer.database import TABLES

if TYPE_CHECKING:
    from asyncpg import Connection

MIB = 1024 * 1024
FULL_BYTES = 16 * MIB
"""With less free space, a start may fail to write its schema and its write-ahead log."""
VERSION_MIN = 14
_POSTGRES = """
WITH known AS (SELECT to_regclass(name) AS id FROM unnest($1::text[]) AS name),
     tables AS (SELECT id FROM known WHERE id IS NOT NULL)
SELECT current_setting('server_version_num')::int / 10000 AS version,
       pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS read_only,
       current_schema() AS schema, current_user AS role, current_database() AS name,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
       EXISTS (SELECT FROM tables) AS has_tables,
       ARRAY(SELECT id::text FROM tables
             WHERE NOT (has_table_privilege(id, 'SELECT') AND has_table_privilege(id, 'INSERT')
                        AND has_table_privilege(id, 'UPDATE') AND has_table_privilege(id, 'DELETE'))
             UNION ALL
             SELECT objid::regclass::text FROM pg_depend JOIN tables ON refobjid = id
             JOIN pg_class ON oid = objid
             WHERE classid = 'pg_class'::regclass AND relkind = 'S'
               AND NOT has_sequence_privilege(objid, 'USAGE')
             UNION ALL
             SELECT 'alembic_version' WHERE to_regclass('alembic_version') IS NOT NULL
               AND NOT has_table_privilege(to_regclass('alembic_version'), 'SELECT')
             ORDER BY 1) AS forbidden,
       pg_backend_pid() AS process,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
"""


@dataclass(frozen=True, slots=True)
class DatabaseCheck:
    """The result of a check. `refusal` is the reason why the database cannot be used, if any.

    `may_pass`: the reason may disappear by itself. `now` None: it uses this machine's clock.
    `free_bytes` None: its disk is on another machine. `pooler`: the connection leads to a pooler.
    """

    refusal: str | None
    now: Instant | None
    free_bytes: int | None = None
    may_pass: bool = False
    pooler: bool = False


async def check_database(target: Target) -> DatabaseCheck:
    """Check a database. Raises `SettingsError` if it cannot be reached."""
    if isinstance(target, Path):
        return _of_file(target)
    from reelhook.storage.postgres import driver as postgres  # noqa: PLC0415 - loaded only if it is the database
    from reelhook.storage.postgres.failover import FAILURES  # noqa: PLC0415 - as above
    from reelhook.storage.postgres.refusals import refusal  # noqa: PLC0415 - as above

    connection = await postgres.connect(target)
    try:
        return await check_connection(connection)
    except FAILURES as error:
        raise refusal(error, "read") from None
    finally:
        await connection.close()


async def check_connection(connection: "Connection") -> DatabaseCheck:
    """Check a PostgreSQL database over a connection."""
    row = await connection.fetchrow(_POSTGRES, list(TABLES))
    return DatabaseCheck(
        _refusal(row),
        row["now"],
        may_pass=row["read_only"],
        # A pooler makes up this number, which identifies the query to cancel.
        pooler=row["process"] != connection.get_server_pid(),
    )


def _refusal(row: Any) -> str | None:
    role, schema = row["role"], row["schema"]
    if row["version"] < VERSION_MIN:
        return f"it is PostgreSQL {row['version']}; reelhook needs {VERSION_MIN} or newer"
    if row["read_only"]:
        return "it is a standby or read-only; name the primary in DATABASE_URL"
    if schema is None:
        return (
            f"the role {role} can't use any schema of it; as its owner: GRANT USAGE, CREATE ON "
            f"SCHEMA public TO {role}"
        )
    if not row["has_tables"] and not row["may_create"]:
        return (
            f"the role {role} may not create tables in schema {schema}; as a superuser: "
            f"ALTER DATABASE {row['name']} OWNER TO {role}, or GRANT CREATE ON SCHEMA {schema} "
            f"TO {role}"
        )
    if row["forbidden"]:
        first, more = row["forbidden"][0], len(row["forbidden"]) - 1
        return (
            f"the role {role} lacks rights on {first}{f' and {more} more' if more else ''}; as "
            f"the tables' owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "
            f"{schema} TO {role}, and GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
        )
    return None


def _of_file(path: Path) -> DatabaseCheck:
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return DatabaseCheck(f"{path} can't be written; correct its mode or owner", None)
    directory = path.parent
    while not directory.exists():
        directory = directory.parent
    if not directory.is_dir() or not os.access(directory, os.W_OK | os.X_OK):
        unwritable = f"{directory} can't be written; choose another with REELHOOK_DATA_DIR"
        return DatabaseCheck(unwritable, None)
    disk = os.statvfs(directory)
    free = disk.f_bavail * disk.f_frsize
    full = f"the disk of {directory} is full ({free // MIB} MiB are free); free some space"
    return DatabaseCheck(full if free < FULL_BYTES else None, None, free)


def check(checked: DatabaseCheck) -> None:
    """Raise `SettingsError` if the database cannot be used."""
    if checked.refusal is not None:
        raise SettingsError(f"The database can't be used: {checked.refusal}")
