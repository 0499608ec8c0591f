"""Databases on a PostgreSQL server, each copied from one that was migrated."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import pytest

from reelhook.storage.postgres import driver as postgres
from reelhook.storage.schema import migrate as migrations

_OWN = f"{os.environ.get('TEST_PART', 'all')}_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
"""The owner of these databases: parallel tests may share a server, see `PARTS` in the Makefile."""
_TEMPLATE = f"reelhook_migrated_{_OWN}"
_numbers = count(1)
_migrated: set[str] = set()
_emptied: dict[str, list[str]] = {}
_EMPTY = """
DO $$
DECLARE name text;
BEGIN
  PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid();
  SET LOCAL session_replication_role = replica;  -- no foreign key or trigger is asked
  FOR name IN
    SELECT tablename FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
  LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
  PERFORM setval(format('%I', sequencename)::regclass, start_value, false) FROM pg_sequences
  WHERE schemaname = 'public' AND last_value IS NOT NULL;
END $$
"""


def on(server: str, database: str) -> str:
    """Return the URL of a database of this server."""
    parts = urlsplit(server)
    return urlunsplit(parts._replace(path=f"/{database}"))


async def _execute(server: str, *statements: str) -> None:
    connection = await postgres.connect(server)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def fresh_database(server: str) -> AsyncIterator[str]:
    """Make a database with the newest schema; drop it at the end."""
    name = await _copied(server)
    try:
        yield on(server, name)
    finally:
        await _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(name="url")
async def fresh_url(postgres_url: str) -> AsyncIterator[str]:
    """A database of the test's own, for modules whose tests change its schema."""
    async with fresh_database(postgres_url) as one:
        yield one


@asynccontextmanager
async def emptied_database(server: str) -> AsyncIterator[str]:
    """Lend a database with the newest schema and no rows.

    For tests that leave its schema and its own settings alone. Emptying it for the next one takes a
    tenth of the time that making and dropping one takes.
    """
    unused = _emptied.setdefault(server, [])
    name = unused.pop() if unused else await _copied(server)
    try:
        yield on(server, name)
    finally:
        await _execute(on(server, name), _EMPTY)
        unused.append(name)


async def _copied(server: str) -> str:
    """Copy the migrated database; return the copy's name."""
    if server not in _migrated:
        drop = f"DROP DATABASE IF EXISTS {_TEMPLATE}"
        await _execute(server, drop, f"CREATE DATABASE {_TEMPLATE}")
        migrations.migrate(on(server, _TEMPLATE))
        _migrated.add(server)
    name = f"reelhook_test_{_OWN}_{next(_numbers)}"
    await _execute(
        server, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}"
    )
    return name
