"""Behind PgBouncer: in transaction mode, with wake-ups off, every statement may meet another
connection of the server; in session mode everything works as without it.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from bench.databases import PostgresServer
from engine_stubs import Receiver, Upstream
from engine_waiting import ended, until, until_job
from lossy_proxy import lossy
from storage.postgres_databases import fresh_database

import reelhook
from reelhook.domain.errors import SettingsError, StoreError
from reelhook.domain.request import VideoRequest
from reelhook.doors.compat.functions import Hook

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = pytest.mark.skipif(
    PGBOUNCER is None, reason="pgbouncer is missing (apt-get install pgbouncer)"
)
CONFIG = """
[databases]
{name} = host={host} dbname={name} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
server_login_retry = 0.2
pool_mode = {mode}
default_pool_size = {size}
server_round_robin = 1
"""


@asynccontextmanager
async def pooled(
    url: str, folder: Path, mode: str = "transaction", more: str = ""
) -> AsyncIterator[str]:
    """Run a pooler before this database; yield the URL through it."""
    parts = urlsplit(url)
    name = parts.path.removeprefix("/")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = folder / f"{name}.ini"
    values = {"name": name, "host": parse_qs(parts.query)["host"][0], "port": port}
    size = 8 if mode == "transaction" else 30  # a session keeps its connection
    config.write_text(CONFIG.format(mode=mode, size=size, **values) + more)
    config.chmod(0o644)
    as_root = ["-u", "pgserver"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        str(PGBOUNCER), "-q", *as_root, str(config), stderr=subprocess.DEVNULL
    )
    try:
        yield await _answering(f"postgresql://postgres@127.0.0.1:{port}/{name}")
    finally:
        process.terminate()
        await process.wait()


async def _answering(url: str) -> str:
    async with asyncio.timeout(60):
        while True:
            try:
                await (await asyncpg.connect(url, statement_cache_size=0)).close()
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
            else:
                return url


@pytest.fixture
async def hooks(
    settings: reelhook.Settings, own_postgres: PostgresServer
) -> AsyncIterator[list[Hook]]:
    """Two processes, as it were, through one pooler."""
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(fresh_database(own_postgres.url))
        url = await stack.enter_async_context(pooled(direct, own_postgres.folder))
        behind = settings.model_copy(update={"database_url": url, "wake_ups": False})
        yield [
            await stack.enter_async_context(reelhook.open(behind, work=work))
            for work in (True, True, False)
        ]


@pytest.mark.long
async def test_jobs_of_several_processes_end_and_are_told_of(
    hooks: list[Hook], upstream: Upstream, receiver: Receiver
) -> None:
    *_, door = hooks
    requests = [VideoRequest(prompt=f"A fox {number}", model="m") for number in range(40)]
    created = await asyncio.gather(*(door.service.submit(one, None) for one in requests))
    await until(lambda: len(upstream.videos) == 40)
    for video in upstream.videos.values():
        video.update(status="completed", progress=100)
    for one in created:
        await until_job(hooks[0], one.job_id, ended)
    await until(lambda: {one["jobId"] for one in receiver.bodies} == {c.job_id for c in created})
    assert upstream.counts["create"] == 40


@pytest.mark.parametrize("delivered", [True, False])
async def test_a_lost_response_to_commit_is_cleared_up_through_the_pooler(
    settings: reelhook.Settings, own_postgres: PostgresServer, *, delivered: bool
) -> None:
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(fresh_database(own_postgres.url))
        pooler = await stack.enter_async_context(pooled(direct, own_postgres.folder))
        proxy, url = stack.enter_context(lossy(pooler))
        behind = settings.model_copy(update={"database_url": url, "wake_ups": False})
        hook = await stack.enter_async_context(reelhook.open(behind, work=False))
        proxy.lose(b"A fox", delivered=delivered)
        request = VideoRequest(prompt="A fox", model="m")
        if delivered:
            created = await hook.service.submit(request)
            assert (await hook.service.job(created.job_id)).job.created_at
        else:
            with pytest.raises(StoreError):
                await hook.service.submit(request)
            proxy.release()
            assert (await hook.operations.stats())["jobs"]["total"] == 0
        assert proxy.cut == 1


async def test_an_empty_database_is_migrated_through_the_pooler(
    settings: reelhook.Settings, own_postgres: PostgresServer
) -> None:
    async with fresh_database(own_postgres.url) as direct:
        connection = await asyncpg.connect(direct)
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await connection.close()
        async with pooled(direct, own_postgres.folder) as url:
            behind = settings.model_copy(update={"database_url": url, "wake_ups": False})
            for _ in range(2):
                async with reelhook.open(behind) as hook:
                    assert (await hook.operations.stats())["jobs"]["completed"] == 0


async def test_in_session_mode_processes_wake_each_other_through_the_pooler(
    settings: reelhook.Settings, own_postgres: PostgresServer, upstream: Upstream
) -> None:
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(fresh_database(own_postgres.url))
        url = await stack.enter_async_context(pooled(direct, own_postgres.folder, "session"))
        behind = settings.model_copy(update={"database_url": url})
        worker, door = [
            await stack.enter_async_context(reelhook.open(behind, work=work))
            for work in (True, False)
        ]
        created = await door.service.submit(VideoRequest(prompt="A fox", model="m"), None)
        await until(lambda: len(upstream.videos) == 1)
        for video in upstream.videos.values():
            video.update(status="completed", progress=100)
        await until_job(worker, created.job_id, ended)
        connection = await asyncpg.connect(direct)
        listening = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %' OR query LIKE"
            " '%pg_backend_pid%' OR query LIKE '%pg_notify%'"
        )
        await connection.close()
        assert listening >= 2


@pytest.mark.parametrize("robin", [0, 1], ids=["the last one", "in turn"])
async def test_transaction_mode_with_wake_ups_ends_the_start_with_the_remedy(
    settings: reelhook.Settings, own_postgres: PostgresServer, robin: int
) -> None:
    """Whichever connection of the server the pooler takes next."""
    more = f"server_round_robin = {robin}\nmin_pool_size = 4\n"
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(fresh_database(own_postgres.url))
        url = await stack.enter_async_context(pooled(direct, own_postgres.folder, more=more))
        behind = settings.model_copy(update={"database_url": url})
        with pytest.raises(SettingsError, match="REELHOOK_WAKE_UPS=false"):
            await stack.enter_async_context(reelhook.open(behind))


async def test_a_parameter_that_the_pooler_refuses_is_named_with_the_remedy(
    settings: reelhook.Settings, own_postgres: PostgresServer
) -> None:
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(fresh_database(own_postgres.url))
        url = await stack.enter_async_context(pooled(direct, own_postgres.folder, "session"))
        behind = settings.model_copy(update={"database_url": f"{url}?statement_timeout=9000"})
        with pytest.raises(SettingsError, match=r"statement_timeout.*ignore_startup_parameters"):
            await stack.enter_async_context(reelhook.open(behind))


@pytest.mark.long
async def test_a_database_behind_a_pooler_is_waited_for(
    settings: reelhook.Settings, own_postgres: PostgresServer
) -> None:
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(fresh_database(own_postgres.url))
        url = await stack.enter_async_context(pooled(direct, own_postgres.folder, "session"))
        behind = settings.model_copy(update={"database_url": url})
        await asyncio.to_thread(own_postgres.stop)
        try:
            starting = asyncio.create_task(stack.enter_async_context(reelhook.open(behind)))
            await asyncio.wait([starting], timeout=2)
            assert not starting.done()
        finally:
            await asyncio.to_thread(own_postgres.start)
        await starting
