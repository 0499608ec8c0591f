"""Databases on a PostgreSQL server, each copied from one that was migrated."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from urllib.parse import urlsplit, urlunsplit

from reelhook.storage.postgres import driver as postgres
from reelhook.storage.schema import migrate as migrations

_OWN = os.environ.get("PYTEST_XDIST_WORKER", "alone")
"""The owner of these databases, since parallel tests may share a server."""
_TEMPLATE = f"reelhook_migrated_{_OWN}"
_numbers = count(1)
_migrated: set[str] = set()


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
    if server not in _migrated:
        drop = f"DROP DATABASE IF EXISTS {_TEMPLATE}"
        await _execute(server, drop, f"CREATE DATABASE {_TEMPLATE}")
        migrations.migrate(on(server, _TEMPLATE))
        _migrated.add(server)
    name = f"reelhook_test_{_OWN}_{next(_numbers)}"
    await _execute(
        server, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}"
    )
    try:
        yield on(server, name)
    finally:
        await _execute(server, f"DROP DATABASE {name} WITH (FORCE)")
