"""Runs Alembic on a database of either kind, in one transaction.

Alembic is loaded only here, and only when something is applied or undone.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from reelhook.storage.at_rest import AtRest
from reelhook.storage.operation import Target
from reelhook.storage.sqlite.interruptible import Interrupt
from reelhook.storage.sqlite.refusals import refusal as refusal_of_file

if TYPE_CHECKING:
    from types import ModuleType

    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

T = TypeVar("T")
MIGRATIONS = Path(__file__).parent / "migrations"


def run(
    database: Target, work: Callable[["Connection"], T], interrupt: Interrupt | None = None
) -> T:
    """Run work on a connection, in one transaction. If it fails, nothing was changed.

    `interrupt` may end this early, with any error.
    """
    if isinstance(database, str):
        done: T = run_in_loop(_run_on_postgres(database, work), interrupt)
        return done
    return _run_on_sqlite(database, work, interrupt)


def _run_on_sqlite(
    database: Path, work: Callable[["Connection"], T], interrupt: Interrupt | None
) -> T:
    import sqlite3  # noqa: PLC0415 - see `upgrade`

    from sqlalchemy import URL, create_engine, event  # noqa: PLC0415 - as above
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

    try:
        with engine.connect() as connection:
            done = work(connection)
            connection.commit()
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None)
        if not isinstance(cause, sqlite3.Error):
            raise
        raise refusal_of_file(database, cause, "brought up to date") from None
    finally:
        engine.dispose()
    return done


async def _run_on_postgres(url: str, work: Callable[["Connection"], T]) -> T:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - see `upgrade`
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
            return await connection.run_sync(work)
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


def upgrade(connection: "Connection", names: Sequence[str]) -> None:
    """Apply these revisions, the next ones."""
    from alembic import command  # noqa: PLC0415 - half of the start-up time, rarely needed

    command.upgrade(_config(connection), f"+{len(names)}")


def downgrade(connection: "Connection", at_rest: AtRest) -> None:
    """Undo the newest revision. `at_rest` decrypts the secrets that it must leave readable."""
    from alembic import command  # noqa: PLC0415 - as above

    command.downgrade(_config(connection, at_rest), "-1")


def revision(name: str) -> "ModuleType":
    """Return the module of a revision, e.g. of `0001_core`."""
    return _scripts().get_revision(name.partition("_")[0]).module


@cache
def _scripts() -> "ScriptDirectory":
    """Return all revisions; to load them takes a fifth of the time that a new database takes."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    return ScriptDirectory.from_config(_config())


def _config(connection: "Connection | None" = None, at_rest: AtRest | None = None) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - as above

    config: Config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes.update(connection=connection, at_rest=at_rest or AtRest())
    return config


def run_in_loop(work: Coroutine[Any, Any, Any], interrupt: Interrupt | None = None) -> Any:
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
