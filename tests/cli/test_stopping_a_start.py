"""A stop is heard during a start too, whatever that waits for."""

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from bench.databases import PostgresServer
from cli_programs import COMMAND, WAIT_SECONDS, environment

from reelhook.storage.schema import migrate as migrations

pytestmark = pytest.mark.long

STOP_SECONDS = 8.0
SCHEMA_LOCK = 7_311_482_093
SERVE = ("serve", "--port", "0", "--openai-base-url", "http://127.0.0.1:9/v1")


@contextlib.asynccontextmanager
async def starting(directory: Path, *arguments: str, **variables: str) -> AsyncIterator[int]:
    """Start a program that can't come up; afterwards it must end within 8 s of a signal."""
    process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
        [*COMMAND, *arguments],
        cwd=directory,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process.pid
        assert process.poll() is None, process.stdout and process.stdout.read()
        process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        code = await asyncio.to_thread(process.wait, WAIT_SECONDS)
        took = time.monotonic() - told
        assert process.stdout is not None
        assert code == 0, process.stdout.read()
        assert took < STOP_SECONDS
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not await condition():  # noqa: ASYNC110 - what is waited for is another process's
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def session(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def waits_for_a_lock(url: str) -> None:
    async with session(url) as connection:

        async def waits() -> object:
            return await connection.fetchval("SELECT 1 FROM pg_locks WHERE NOT granted LIMIT 1")

        await until(waits)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as one:
        yield one


@pytest.fixture
async def database(server: PostgresServer) -> AsyncIterator[str]:
    """An empty database."""
    async with session(server.url) as connection:
        await connection.execute("CREATE DATABASE starting")
        yield urlunsplit(urlsplit(server.url)._replace(path="/starting"))
        await connection.execute("DROP DATABASE starting WITH (FORCE)")


@pytest.mark.parametrize("command", [SERVE, ("worker",)], ids=["serve", "worker"])
async def test_while_another_process_changes_the_schema(
    tmp_path: Path, database: str, command: tuple[str, ...]
) -> None:
    async with session(database) as other, other.transaction():
        await other.execute(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
        more = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "DATABASE_URL": database}
        async with starting(tmp_path, *command, **more):
            await waits_for_a_lock(database)


async def test_during_a_migration_that_waits_for_a_table(tmp_path: Path, database: str) -> None:
    await asyncio.to_thread(migrations.migrate, database, 2)
    async with session(database) as other:
        async with other.transaction():
            await other.execute("LOCK TABLE jobs")
            async with starting(tmp_path, *SERVE, DATABASE_URL=database):
                await waits_for_a_lock(database)
        assert await other.fetchval("SELECT version_num FROM alembic_version") == "0002"


async def test_while_the_database_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        async with starting(tmp_path, *SERVE, DATABASE_URL=url):
            plug, _ = await asyncio.get_running_loop().sock_accept(silent)
    plug.close()


async def test_while_the_database_is_frozen_in_a_migration(
    tmp_path: Path, server: PostgresServer
) -> None:
    url = server.url
    await asyncio.to_thread(migrations.migrate, url, 2)
    async with session(url) as other, other.transaction():
        await other.execute("LOCK TABLE jobs")
        async with starting(tmp_path, *SERVE, DATABASE_URL=url):
            await waits_for_a_lock(url)
            pids = [row[0] for row in await other.fetch("SELECT pid FROM pg_stat_activity")]
            own = other.get_server_pid()
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
        assert own in pids
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(("lock", "revisions"), [("EXCLUSIVE", 0), ("IMMEDIATE", 2)])
async def test_while_another_program_has_the_file(
    tmp_path: Path, lock: str, revisions: int
) -> None:
    path = tmp_path / "reelhook-data" / "reelhook.db"
    path.parent.mkdir()
    path.touch()
    if revisions:
        migrations.migrate(path, revisions)

    async def opened(pid: int) -> bool:
        return str(path) in await asyncio.to_thread(files, pid)

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        async with starting(tmp_path, *SERVE) as pid:
            await until(lambda: opened(pid))


def files(pid: int) -> list[str]:
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found
