"""The store on a database of its own for each test.

Tests that ask for `store` or `sql` hold for every kind of database: another one is another entry
in `KINDS`. What only SQLite has is tested on `sqlite`.
"""

import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from postgres_fixtures import own_postgres, postgres_url  # noqa: F401 - fixtures

from reelhook.storage.operation import Database, Row
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

from .postgres_databases import emptied_database
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


@asynccontextmanager
async def opened_postgres(request: pytest.FixtureRequest) -> AsyncIterator[PostgreSQL]:
    """A database with the newest schema that nothing else uses meanwhile."""
    async with _opened_on(request.getfixturevalue("postgres_url")) as database:
        yield database


@asynccontextmanager
async def opened_given(_request: pytest.FixtureRequest) -> AsyncIterator[PostgreSQL]:
    """The same on the server of TEST_POSTGRES_URL, maybe of another version."""
    async with _opened_on(os.environ["TEST_POSTGRES_URL"]) as database:
        yield database


@asynccontextmanager
async def _opened_on(server: str) -> AsyncIterator[PostgreSQL]:
    async with emptied_database(server) as url:
        database = await PostgreSQL.open(url)
        try:
            yield database
        finally:
            await database.close()


KINDS: dict[str, Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Database]]] = {
    "sqlite": opened_sqlite,
    "postgresql": opened_postgres,
}
if os.environ.get("TEST_POSTGRES_URL"):
    KINDS["postgresql-given"] = opened_given


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with KINDS[request.param](request) as one:
        yield one


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


@pytest.fixture
def sql(database: Database) -> Sql:
    async def run(text: str, *parameters: Any) -> list[Row]:
        return await database.write(lambda: statement(text, *parameters))

    return run


@pytest.fixture
async def sqlite(request: pytest.FixtureRequest) -> AsyncIterator[SQLite]:
    async with opened_sqlite(request) as one:
        yield one


@pytest.fixture
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a PostgreSQL database of the test's own, for several processes to share."""
    async with emptied_database(request.getfixturevalue("postgres_url")) as one:
        yield one


@pytest.fixture
async def shared(url: str) -> AsyncIterator[Store]:
    """A store on the database that several processes share."""
    one = await PostgreSQL.open(url)
    yield Store(one)
    await one.close()
