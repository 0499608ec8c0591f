"""The store on a database of its own for each test.

Tests that ask for `store` or `sql` hold for every kind of database: another one is another entry
in `KINDS`. What only SQLite has is tested on `sqlite`.
"""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from reelhook.storage import migrate as migrations
from reelhook.storage.operation import Row
from reelhook.storage.sqlite import SQLite
from reelhook.storage.store import Store

from .samples import statement


class Sql(Protocol):
    """Runs a statement of the test's own, in a transaction."""

    async def __call__(self, text: str, *parameters: Any) -> list[Row]: ...


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "reelhook.db"
    migrations.migrate(path)
    return path


@pytest.fixture
def database_path(migrated: Path, tmp_path: Path) -> Path:
    """A SQLite database of the test's own, with the newest schema."""
    return Path(shutil.copy(migrated, tmp_path / "reelhook.db"))


@asynccontextmanager
async def opened_sqlite(request: pytest.FixtureRequest) -> AsyncIterator[SQLite]:
    database = SQLite(request.getfixturevalue("database_path"))
    try:
        yield database
    finally:
        await database.close()


KINDS: dict[str, Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[SQLite]]] = {
    "sqlite": opened_sqlite,
}


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest) -> AsyncIterator[SQLite]:
    async with KINDS[request.param](request) as one:
        yield one


@pytest.fixture
def store(database: SQLite) -> Store:
    return Store(database)


@pytest.fixture
def sql(database: SQLite) -> Sql:
    async def run(text: str, *parameters: Any) -> list[Row]:
        return await database.write(lambda: statement(text, *parameters))

    return run


@pytest.fixture
async def sqlite(request: pytest.FixtureRequest) -> AsyncIterator[SQLite]:
    async with opened_sqlite(request) as one:
        yield one
