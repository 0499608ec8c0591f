"""Upgrades and downgrades the database schema with Alembic, one revision at a time.

The caller must own the database. Alembic is loaded only if there is something to migrate.
"""

from typing import TYPE_CHECKING

import apsw

from reelhook.domain.errors import SettingsError
from reelhook.storage.operation import Target
from reelhook.storage.schema import applying
from reelhook.storage.schema.applying import MIGRATIONS, run_in_loop
from reelhook.storage.schema.compatibility import (
    FIRST_WITH_OLDEST,
    number_of,
    oldest_of,
    previous_may_run,
)
from reelhook.storage.schema.in_use import processes_on
from reelhook.storage.sqlite.driver import connect
from reelhook.storage.sqlite.interruptible import Interrupt
from reelhook.storage.sqlite.refusals import refusal as refusal_of_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

COPYING, MOVED = "copying:", "moved:"
"""Prefixes of the version of a database that is the target of a copy, or was its source."""


def revisions() -> list[str]:
    """Return the names of all revisions, oldest first, e.g. `0001_core`."""
    return sorted(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def newest() -> str:
    """Return the number of the newest revision, the schema that this program uses."""
    return number_of(revisions()[-1])


def pending(
    database: Target, *, read_only: bool = False, interrupt: Interrupt | None = None
) -> list[str]:
    """Return the revisions that this database still lacks.

    `read_only`: do not create a file; another process may own the database. `interrupt` may end
    this early, with any error. Raises `SettingsError` if the database is newer than this program.
    """
    known = revisions()
    current = _current(database, read_only=read_only, interrupt=interrupt)
    numbers = [number_of(name) for name in known]
    if current is None:
        return known
    if current.startswith(COPYING):
        raise SettingsError(
            "The database is the target of a copy that is not finished; "
            "finish the copy, or name another database",
            problem="copy_unfinished",
        )
    if current.startswith(MOVED):
        raise SettingsError(
            "The database was moved to another one; set DATABASE_URL to that one, "
            "or delete the copy and reopen this database (docs/moving.md)",
            problem="database_moved",
        )
    if current not in numbers:
        raise SettingsError(
            f"The database has schema {current}, newer than this reelhook knows "
            f"({newest()}); install a newer reelhook"
        )
    return known[numbers.index(current) + 1 :]


def migrate(
    database: Target, steps: int | None = None, *, interrupt: Interrupt | None = None
) -> list[str]:
    """Apply the next `steps` revisions (None: all that are missing); return their names.

    If `interrupt` ends it early, with any error, none of them is applied. Raises `SettingsError`
    while processes are alive that may not run at the same time as one of these revisions.
    """
    missing = pending(database, interrupt=interrupt)
    names = missing[:steps]
    if not names:
        return []
    alone = [name for name in names if not previous_may_run(name, _declared)]
    if alone and isinstance(database, str) and (alive := processes_on(database)):
        raise SettingsError(
            f"{alone[0]} can't be applied while processes of an earlier version use the database "
            f"({', '.join(alive)}); stop all of them first, those without a worker too",
            problem="processes_alive",
            facts={"revision": alone[0], "processes": ", ".join(alive)},
        )
    known = revisions()
    applied = known[: len(known) - len(missing) + len(names)]

    def upgrade(connection: "Connection") -> None:
        applying.upgrade(connection, names)
        store_oldest(connection, applied)

    applying.run(database, upgrade, interrupt)
    return names


def store_oldest(connection: "Connection", applied: list[str]) -> None:
    """Store the oldest schema whose programs may use a database with these revisions."""
    if applied and number_of(applied[-1]) >= FIRST_WITH_OLDEST:
        oldest = oldest_of(applied, _declared)
        connection.exec_driver_sql(f"UPDATE alembic_version SET oldest = '{oldest}'")


def _declared(name: str) -> bool:
    return bool(applying.revision(name).previous_may_run)


def _current(database: Target, *, read_only: bool, interrupt: Interrupt | None) -> str | None:
    if isinstance(database, str):
        version: str | None = run_in_loop(_current_of_postgres(database), interrupt)
        return version
    if read_only and not database.exists():
        return None
    connection = connect(database, read_only=read_only)
    try:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except apsw.SQLError:
        return None  # no such table: an empty database
    except apsw.Error as error:
        raise refusal_of_file(database, error, "read") from None
    finally:
        connection.close()
    return str(rows[0][0]) if rows else None


async def _current_of_postgres(url: str) -> str | None:
    from reelhook.storage.postgres import driver as postgres  # noqa: PLC0415 - loaded only if it is the database
    from reelhook.storage.postgres.failover import FAILURES  # noqa: PLC0415 - as above
    from reelhook.storage.postgres.refusals import refusal  # noqa: PLC0415 - as above

    connection = await postgres.connect(url)
    try:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return None
        version: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return version
    except FAILURES as error:
        raise refusal(error, "read") from None
    finally:
        await connection.close()
