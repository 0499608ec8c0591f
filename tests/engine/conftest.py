"""The engine on a real store, the real provider over HTTP, and a receiver that remembers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from engine_stubs import Receiver, Upstream, listening
from migrated_database import prepare
from postgres_fixtures import own_postgres, postgres_url  # noqa: F401 - fixtures

import reelhook
from reelhook.doors.compat.functions import Hook


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    stub = Upstream()
    routes = [
        web.post("/v1/videos", stub.on_create),
        web.get("/v1/videos", stub.on_list),
        web.get("/v1/videos/{id}", stub.on_get),
    ]
    async with listening(routes) as stub.url:
        yield stub


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    stub = Receiver()
    async with listening([web.post("/hook", stub.on_post)]) as url:
        stub.url = f"{url}/hook"
        yield stub


@pytest.fixture
def settings(upstream: Upstream, receiver: Receiver, tmp_path: Path) -> reelhook.Settings:
    prepare(tmp_path / "reelhook.db")
    return reelhook.Settings.of(
        openai_base_url=upstream.url,
        webhook_url=receiver.url,
        webhook_secret="secret",
        data_dir=tmp_path,
        poll_seconds=0.1,
        submit_settle_seconds=0.3,
        submit_timeout_seconds=2,
        retry_schedule="0.05s,0.05s",
    )


@pytest.fixture
async def hook(settings: reelhook.Settings) -> AsyncIterator[Hook]:
    async with reelhook.open(settings) as opened:
        yield opened
