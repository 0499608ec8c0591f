"""What deploy/ starts works together: each process is told the same, and one goes by another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from bench.processes import REELHOOK, Server
from cleaning_up import clean_up
from storage.postgres_databases import fresh_database

from deploy.processes import Process, compose, kubernetes, systemd
from reelhook.config import Settings, environment_name, unknown_variables
from reelhook.providers.registry import BUILT_IN
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

DATABASE = "postgresql://reelhook:password@postgres/reelhook"
NEEDED = {
    "DATABASE_URL": DATABASE,
    "POSTGRES_PASSWORD": "password",
    "WEBHOOK_SECRET": "a secret of the tests",
    "REELHOOK_API_KEY": "an API key of the tests",
    "OPENAI_BASE_URL": "http://gpu:30000/v1",
}
"""What the files say that an operator must give."""
CHOSEN = {
    "REELHOOK_PUBLIC_URL": "https://video.example.com",
    "REELHOOK_ALLOW_NETWORKS": "10.0.0.0/8,192.168.0.0/16",
    "REELHOOK_ALLOWED_HOSTS": "video.example.com",
    "WEBHOOK_URL": "https://app.example.com/hook",
    "OPENAI_API_KEY": "a key of openai",
    "OPENAI_WEBHOOK_SECRET": "whsec_" + "c2VjcmV0" * 4,
    "REELHOOK_WEBHOOK_SECRET_PREVIOUS": "the secret before",
    "REELHOOK_DEFAULT_MODEL": "fal/fal-ai/veo3/fast",
    "REELHOOK_MODEL_ALIASES": "fast=fal/fal-ai/veo3/fast",
    "REELHOOK_POLL_SECONDS": "7",
    "REELHOOK_MAX_AGE_HOURS": "12",
    "REELHOOK_SUBMIT_TIMEOUT_SECONDS": "20",
    "REELHOOK_SUBMIT_SETTLE_SECONDS": "90",
    "REELHOOK_RETRY_SCHEDULE": "1s,2s",
    "REELHOOK_KEEP_JOBS_DAYS": "3",
    **{one.key_variable: f"a key of {name}" for name, one in BUILT_IN.items()},
}
"""What an operator may choose; an installation has to agree on all of it."""
INSTALLATIONS = [compose, kubernetes, systemd]
Installation = Callable[[Mapping[str, str]], list[Process]]
OWN = {"data_dir"}  # of SQLite, which a worker has no part in


def settings(process: Process, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Read the process's environment as the program does, and check that it can start so."""
    for name in (environment_name(field) for field in Settings.model_fields):
        monkeypatch.delenv(name, raising=False)
    for name, value in process.environment.items():
        monkeypatch.setenv(name, value)
    assert unknown_variables(None, process.environment) == {}
    read = Settings.load(env_file=None)
    match process.arguments:
        case ("worker",):
            read.check_for_worker()
        case ("serve", *flags):
            assert flags in ([], ["--no-worker"])
            read.check_for_server(simulate=False, work=not flags)
        case other:
            pytest.fail(f"{process.name} starts {other}")
    return {**read.model_dump(exclude=OWN), "accounts": read.credentials}


@pytest.mark.parametrize("given", [NEEDED, {**NEEDED, **CHOSEN}], ids=["needed", "chosen"])
@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_all_processes_of_an_installation_go_by_the_same_settings(
    installation: Installation, given: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, *others = (settings(process, monkeypatch) for process in installation(given))
    assert others
    assert all(other == one for other in others)


@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_what_an_operator_gives_reaches_every_process(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {**NEEDED, **CHOSEN}
    with monkeypatch.context() as alone:
        expected = settings(Process("alone", ("worker",), given), alone)
    for process in installation(given):
        read = settings(process, monkeypatch)
        fixed = {"database_url", "host"} if installation is not systemd else set()
        assert {name for name in read if read[name] != expected[name]} <= fixed


class Receiver:
    """Takes webhooks; knows no API key."""

    def __init__(self) -> None:
        self.ended: asyncio.Queue[Any] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["status"] == "completed":
            self.ended.put_nowait(body)
        return web.Response()


@asynccontextmanager
async def listening(receiver: Receiver) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await clean_up(runner)


@pytest.mark.parametrize("of_worker", ["as in the file", "without the API key"])
@pytest.mark.long
async def test_a_receiver_can_fetch_the_video_that_the_worker_s_webhook_names(
    of_worker: str, postgres_url: str, tmp_path: Path
) -> None:
    receiver = Receiver()
    async with AsyncExitStack() as stack:
        hook = await stack.enter_async_context(listening(receiver))
        faults = Faults(queue_seconds=0, render_seconds=0)
        provider = await stack.enter_async_context(running(faults))
        given = {**NEEDED, "OPENAI_BASE_URL": provider.base_url}
        api, worker = compose(given)
        database = await stack.enter_async_context(fresh_database(postgres_url))
        here = {"DATABASE_URL": database, "REELHOOK_HOST": "127.0.0.1"}
        server = Server(tmp_path, {**api.environment, **here}, api.arguments)
        stack.callback(server.close)
        # Where they are is this test's choice; everything else comes from the file.
        here |= {name: server.environment[name] for name in ("PATH", "REELHOOK_ALLOW_NETWORKS")}
        environment = {**worker.environment, **here, "REELHOOK_PUBLIC_URL": server.url}
        if of_worker != "as in the file":
            environment.pop("REELHOOK_API_KEY", None)
        await server.start()
        log = stack.enter_context((tmp_path / "worker.log").open("wb"))
        working = await asyncio.create_subprocess_exec(
            *(str(REELHOOK), *worker.arguments), cwd=tmp_path, env=environment, stderr=log
        )
        stack.push_async_callback(working.wait)
        stack.callback(working.kill)
        bearer = {"Authorization": f"Bearer {NEEDED['REELHOOK_API_KEY']}"}
        session = await stack.enter_async_context(aiohttp.ClientSession())
        asked = {"script": "A fox", "seconds": 1, "size": "64x64", "webhookUrl": hook}
        async with session.post(f"{server.url}/api/generate", json=asked, headers=bearer) as answer:
            assert answer.status == 200, await answer.text()
        async with asyncio.timeout(60):
            url = (await receiver.ended.get())["videoUrl"]
        async with session.get(url) as video:
            assert video.status == 200
            assert (await video.read())[4:8] == b"ftyp"
