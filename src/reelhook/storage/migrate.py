"""Bringing a database's schema forward and back, by Alembic, one revision at a time.

The caller holds the file's lock. Alembic is loaded only when there is something to migrate.
"""

from pathlib import Path
from typing import Any

import apsw

from reelhook.domain.errors import SettingsError
from reelhook.storage.sqlite import connect

_MIGRATIONS = Path(__file__).parent / "migrations"


def revisions() -> list[str]:
    """Return the names of all revisions, oldest first, e.g. `0001_core`."""
    return sorted(path.stem for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def pending(database: Path) -> list[str]:
    """Return the revisions this database still lacks.

    Raises `SettingsError` when the database is newer than this program.
    """
    known = revisions()
    current = _current(database)
    numbers = [name.partition("_")[0] for name in known]
    if current is None:
        return known
    if current not in numbers:
        raise SettingsError(
            f"The database {database} has schema {current}, newer than this reelhook knows "
            f"({numbers[-1]}); install a newer reelhook"
        )
    return known[numbers.index(current) + 1 :]


def migrate(database: Path, steps: int | None = None) -> list[str]:
    """Apply the next `steps` revisions (None: all that are missing); return their names."""
    names = pending(database)[:steps]
    if names:
        _alembic(database, "upgrade", f"+{len(names)}")
    return names


def rollback(database: Path, *, destroy: bool) -> str | None:
    """Undo the newest revision; return its name, or None when there is nothing left.

    Raises `SettingsError` when that would delete the jobs and `destroy` is not set.
    """
    known, missing = revisions(), pending(database)
    applied = known[: len(known) - len(missing)]
    if not applied:
        return None
    if len(applied) == 1 and not destroy:
        raise SettingsError(
            f"Rolling back {applied[-1]} deletes every job; say --destroy if that is meant"
        )
    _alembic(database, "downgrade", "-1")
    return applied[-1]


def _current(database: Path) -> str | None:
    connection = connect(database, read_only=False)
    try:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except apsw.SQLError:
        return None  # no such table: an empty database
    finally:
        connection.close()
    return str(rows[0][0]) if rows else None


def _alembic(database: Path, direction: str, target: str) -> None:
    from alembic import command  # noqa: PLC0415 - half of a quick start's time, seldom needed
    from alembic.config import Config  # noqa: PLC0415 - as above
    from sqlalchemy import URL, create_engine, event  # noqa: PLC0415 - as above

    # One connection on a file that we own alone: the standard library's SQLite is safe for that.
    engine = create_engine(URL.create("sqlite", database=str(database)))  # any path, "?" in it too

    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    config: Config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            getattr(command, direction)(config, target)
            connection.commit()
    finally:
        engine.dispose()
