"""`doctor` sees what would stop a start, or a job, before it does: disks, clocks, rights, trust."""

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web
from bench.clusters import Cluster, cluster, may_mount
from cleaning_up import clean_up
from cli_programs import COMMAND, environment, reelhook
from findings import found, told
from made_certificates import Authority, authority

from reelhook import open as open_program
from reelhook.config import Settings
from reelhook.domain.request import VideoRequest
from reelhook.storage.schema import migrate as migrations


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def ago(seconds: float) -> float:
    return time.time() - seconds


# -- the disk and the clock -----------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if not may_mount():
        pytest.skip("this machine lets nobody mount a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_disk_that_is_small_or_full_is_told(small_disk: Path) -> None:
    findings = await found(data_dir=str(small_disk))
    assert told(findings, "database")[0] == "ok"
    assert told(findings, "disk") == (
        "warning",
        "64 MiB are free; free some space: no job is accepted once the disk is full",
    )
    (small_disk / "filler").write_bytes(bytes(60 * 1024 * 1024))
    verdict, message = told(await found(data_dir=str(small_disk)), "database")
    assert (verdict, "is full (4 MiB are free)" in message) == ("failed", True)


async def test_records_of_the_future_show_that_the_clock_was_set_back(tmp_path: Path) -> None:
    settings = Settings.of(data_dir="data", openai_base_url="http://127.0.0.1:9/v1")
    async with open_program(settings, work=False) as hook:
        await hook.service.submit(VideoRequest(prompt="A fox", model="m"), None)
    assert "clock" not in await found()
    verdict, message = told(await found(now=partial(ago, 3600)), "clock")
    assert verdict == "warning"
    assert "was set back: the newest record is 36" in message


# -- rights ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as one:
        yield one


async def test_a_role_without_rights_is_told_with_what_to_grant(server: Cluster) -> None:
    connection = await asyncpg.connect(server.url)
    migrations.migrate(server.url)
    await connection.execute("CREATE ROLE lodger LOGIN")
    await connection.execute("CREATE DATABASE empty")
    as_lodger = server.url.replace("postgres@", "lodger@")
    verdict, message = told(await found(database_url=as_lodger), "database")
    assert (verdict, "the role lodger lacks rights on accounts" in message) == ("failed", True)
    for statement in message.partition("owner: ")[2].split(", and "):
        await connection.execute(statement)
    await connection.execute("GRANT SELECT ON alembic_version TO lodger")
    assert told(await found(database_url=as_lodger), "database")[0] == "ok"
    await connection.close()
    empty = as_lodger.removesuffix("postgres") + "empty"
    assert "GRANT CREATE ON SCHEMA" in told(await found(database_url=empty), "database")[1]


# -- certificates ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def encrypted(certificate: Path) -> AsyncIterator[str]:
    """Serve what looks like a reelhook, and a provider, under this certificate; yield its URL."""

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready", "data": [], "jobs": {"total": 0}})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", ready)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://localhost:{runner.addresses[0][1]}"
    finally:
        await clean_up(runner)


async def test_a_certificate_that_is_not_trusted_is_told_wherever_it_is(
    private: Authority,
) -> None:
    async with encrypted(private.sign()) as url:
        findings = await found(
            url=url, webhook_url=url, openai_base_url=f"{url}/v1", openai_api_key="k"
        )
    for subject in ("server", "WEBHOOK_URL", "account openai"):
        verdict, message = told(findings, subject)
        assert verdict == "failed"
        assert "certificate is not trusted (unable to get local issuer certificate)" in message
        assert "SSL_CERT_FILE" in message


async def test_the_command_line_says_why_it_does_not_trust_a_server(
    private: Authority, tmp_path: Path
) -> None:
    async with encrypted(private.sign()) as url:
        outcome = await asyncio.to_thread(
            partial(reelhook, "stats", "--json", directory=tmp_path, REELHOOK_URL=url)
        )
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert f"The certificate of {url} is not trusted" in outcome.err
        assert "SSL_CERT_FILE" in outcome.err
        # A process of its own, since OpenSSL reads the variable once.
        variables = {"REELHOOK_URL": url, "SSL_CERT_FILE": str(private.file)}
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "stats", "--json"),
            cwd=tmp_path,
            env=environment(**variables),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert (process.returncode, b'"ready"' in out) == (0, True)


async def test_a_variable_that_opens_nothing_is_told(tmp_path: Path) -> None:
    absent = {"SSL_CERT_FILE": str(tmp_path / "absent.pem")}
    verdict, message = told(await found(environment=absent), "SSL_CERT_FILE")
    assert (verdict, "absent.pem" in message) == ("failed", True)
    (tmp_path / "text.pem").write_text("no certificate")
    text = {"SSL_CERT_FILE": str(tmp_path / "text.pem")}
    assert told(await found(environment=text), "SSL_CERT_FILE")[0] == "failed"
    (tmp_path / ".env").write_text("SSL_CERT_FILE=text.pem\n")
    assert told(await found(), "SSL_CERT_FILE")[0] == "warning"
