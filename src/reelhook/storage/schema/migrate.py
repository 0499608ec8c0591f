"""Upgrades and downgrades the database schema with Alembic, one revision at a time.

The caller must own the database. Alembic is loaded only if there is something to migrate.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from reelhook.domain.encryption import Keyring
from reelhook.domain.errors import SettingsError
from reelhook.storage import owned
from reelhook.storage.at_rest import AtRest
from reelhook.storage.operations import history, secrets_at_rest
from reelhook.storage.sqlite.driver import connect
from reelhook.storage.sqlite.interruptible import Interrupt
from reelhook.storage.sqlite.refusals import refusal as refusal_of_file
from reelhook.storage.sqlite.witness import Witness

if TYPE_CHECKING:
    from sqlalchemy import Connection

Target = Path | str
"""A SQLite file, or the URL of a PostgreSQL database."""
COPYING, MOVED = "copying:", "moved:"
"""Prefixes of the version of a database that is the target of a copy, or was its source."""
ENCRYPTION_REVISION = "0015_projects"
"""The first revision with encrypted secrets: earlier versions can't decrypt them."""
_MIGRATIONS = Path(__file__).parent / "migrations"


def revisions() -> list[str]:
    """Return the names of all revisions, oldest first, e.g. `0001_core`."""
    return sorted(path.stem for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def pending(
    database: Target, *, read_only: bool = False, interrupt: Interrupt | None = None
) -> list[str]:
    """Return the revisions that this database still lacks.

    `read_only`: do not create a file; another process may own the database. `interrupt` may end
    this early, with any error. Raises `SettingsError` if the database is newer than this program.
    """
    known = revisions()
    current = _current(database, read_only=read_only, interrupt=interrupt)
    numbers = [name.partition("_")[0] for name in known]
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
            f"({numbers[-1]}); install a newer reelhook"
        )
    return known[numbers.index(current) + 1 :]


def migrate(
    database: Target, steps: int | None = None, *, interrupt: Interrupt | None = None
) -> list[str]:
    """Apply the next `steps` revisions (None: all that are missing); return their names.

    If `interrupt` ends it early, with any error, none of them is applied.
    """
    names = pending(database, interrupt=interrupt)[:steps]
    if names:
        _alembic(database, "upgrade", f"+{len(names)}", interrupt)
    return names


def rollback(database: Target, *, destroy: bool, keyring: Keyring | None = None) -> str | None:
    """Undo the newest revision. Return its name, or None if there is none left.

    Raises `SettingsError` while workers are alive, or if it would delete the jobs and `destroy` is
    not set. A revision that makes secrets encrypted first decrypts them with the `keyring`; if that
    lacks a key, `UndecryptableError` is raised and nothing is changed.
    """
    known, missing = revisions(), pending(database)
    applied = known[: len(known) - len(missing)]
    if not applied:
        return None
    if len(applied) == 1 and not destroy:
        raise SettingsError(
            f"Rolling back {applied[-1]} deletes every job",
            problem="rollback_destroys",
            facts={"revision": applied[-1]},
        )
    if isinstance(database, str) and (alive := _run_in_loop(_alive(database))):
        raise SettingsError(
            f"Workers use this database ({', '.join(alive)}); stop them before rolling back"
        )
    at_rest = AtRest(keyring)
    if applied[-1] == ENCRYPTION_REVISION:
        # Before anything is touched: a refusal must not make the file count as a copy.
        _run_in_loop(owned.read(database, secrets_at_rest.check_all(at_rest)))
    _alembic(database, "downgrade", "-1", at_rest=at_rest)
    return applied[-1]


def _current(database: Target, *, read_only: bool, interrupt: Interrupt | None) -> str | None:
    if isinstance(database, str):
        version: str | None = _run_in_loop(_current_of_postgres(database), interrupt)
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


async def _alive(url: str) -> list[str]:
    from reelhook.storage.postgres import driver as postgres  # noqa: PLC0415 - loaded only if it is the database

    connection = await postgres.connect(url)
    try:
        if await connection.fetchval("SELECT to_regclass('workers')") is None:
            return []
        rows = await connection.fetch(
            "SELECT id FROM workers WHERE seen_until > now_ms() ORDER BY id"
        )
        return [row[0] for row in rows]
    finally:
        await connection.close()


def _alembic(
    database: Target,
    direction: str,
    target: str,
    interrupt: Interrupt | None = None,
    *,
    at_rest: AtRest | None = None,
) -> None:
    attributes = {"at_rest": at_rest or AtRest()}
    if isinstance(database, str):
        _run_in_loop(_alembic_on_postgres(database, direction, target, attributes), interrupt)
    else:
        _alembic_on_sqlite(database, direction, target, attributes, interrupt)


def _alembic_on_sqlite(
    database: Path,
    direction: str,
    target: str,
    attributes: dict[str, Any],
    interrupt: Interrupt | None,
) -> None:
    from sqlalchemy import URL, create_engine, event  # noqa: PLC0415 - see `_apply`
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as above

    # One connection to a file in exclusive use: the standard library's SQLite is safe for that.
    engine = create_engine(
        URL.create("sqlite", database=str(database))
    )  # allows any path, even with "?"

    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        if interrupt is not None:
            interrupt.by(connection.interrupt)

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    if direction == "downgrade":
        Witness(database).path.unlink(missing_ok=True)
    try:
        with engine.connect() as connection:
            _apply(connection, direction, target, attributes)
            connection.commit()
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None)
        if not isinstance(cause, sqlite3.Error):
            raise
        raise refusal_of_file(database, cause, "brought up to date") from None
    finally:
        engine.dispose()


async def _alembic_on_postgres(
    url: str, direction: str, target: str, attributes: dict[str, Any]
) -> None:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - see `_apply`
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - as above

    from reelhook.storage.postgres import driver as postgres  # noqa: PLC0415 - loaded only if it is the database
    from reelhook.storage.postgres.failover import FAILURES  # noqa: PLC0415 - as above
    from reelhook.storage.postgres.refusals import refusal  # noqa: PLC0415 - as above

    # Our own connection, because other URL parsers refuse URLs with a socket directory.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: postgres.connect(url)
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_apply, direction, target, attributes)
    except (SQLAlchemyError, *FAILURES) as error:
        cause = _cause(error, FAILURES)
        if cause is None:
            raise
        raise refusal(cause, "brought up to date") from None
    finally:
        await engine.dispose()


def _cause(error: BaseException, kinds: tuple[type[BaseException], ...]) -> BaseException | None:
    """Return the driver's error, which SQLAlchemy wraps twice."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, kinds):
        cause = getattr(cause, "orig", None) or cause.__cause__
    return cause


def _apply(
    connection: "Connection", direction: str, target: str, attributes: dict[str, Any]
) -> None:
    from alembic import command  # noqa: PLC0415 - half of the start-up time, rarely needed
    from alembic.config import Config  # noqa: PLC0415 - as above

    config: Config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes.update(attributes, connection=connection)
    if direction == "downgrade":  # an earlier version does not maintain this value
        connection.exec_driver_sql(f"DELETE FROM keys WHERE name = '{history.KEY}'")
    getattr(command, direction)(config, target)


def _run_in_loop(work: Coroutine[Any, Any, Any], interrupt: Interrupt | None = None) -> Any:
    """Run a coroutine to its end, even if an event loop is running in this thread."""
    ended: list[Any] = []

    async def interruptible() -> Any:
        task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()

        def cancel() -> None:
            if not task.cancelling():  # a second cancellation would interrupt its clean-up
                task.cancel()

        def stop() -> None:
            loop.call_soon_threadsafe(cancel)

        if interrupt is not None:
            interrupt.by(stop)
        return await task

    def run() -> None:
        try:
            ended.append(asyncio.run(interruptible()))
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]
