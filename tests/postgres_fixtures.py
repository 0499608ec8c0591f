"""PostgreSQL for tests: a server of their own, from a wheel. A conftest imports these fixtures."""

from collections.abc import Iterator

import pytest
from bench.databases import PostgresServer


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server that all tests share, each with a database of its own."""
    with PostgresServer() as server:
        server.never_wait_for_the_disk()
        yield server.url


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """A server that the tests of a module may stop and start."""
    with PostgresServer() as server:
        yield server
