"""What ends or begins in one server holds in every other one within a second."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bench.databases import PostgresServer
from gateways import Gateway, gateway, until

pytestmark = pytest.mark.long
READ_SECONDS = 0.5
"""A read of the database on a busy machine, in addition to the second that is promised."""


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Two servers without REELHOOK_API_KEY on one database."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(PostgresServer())
        first, second = [
            await stack.enter_async_context(gateway(tmp_path / name, database_url=database.url))
            for name in ("one", "two")
        ]
        yield first, second


def bearer(key: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


async def code_when(server: Gateway, status: int, **options: Any) -> tuple[str, float]:
    """Ask until the status is this; return the error's code, and the seconds that it took."""
    began = time.monotonic()

    async def answered() -> Any:
        reply = await server.get("/api/models", **options)
        return reply if reply.status == status else None

    return str((await until(answered, 20)).json()["code"]), time.monotonic() - began


async def test_a_key_begins_and_ends_everywhere(servers: tuple[Gateway, Gateway]) -> None:
    here, there = servers
    assert (await there.get("/api/models")).status == 200
    body = {"name": "app", "scopes": ["admin"]}
    key = (await here.post("/api/keys", json=body)).json()
    # From now on, no request without a key is answered.
    code, seconds = await code_when(there, 401)
    assert code == "unauthorized"
    assert seconds < 1 + READ_SECONDS
    assert (await there.get("/api/models", headers=bearer(key))).status == 200
    job = await here.post(
        "/api/generate",
        json={"script": "A fox", "seconds": 1, "size": "64x64"},
        headers=bearer(key),
    )
    url = f"{there.url}/api/jobs/events?jobIds={job.json()['jobId']}"
    timeout = aiohttp.ClientTimeout(20)
    async with there.session.get(url, headers=bearer(key), timeout=timeout) as stream:
        assert stream.status == 200
        await stream.content.readline()
        revoked = await here.post(f"/api/keys/{key['id']}/revoke", headers=bearer(key))
        assert revoked.status == 200
        began = time.monotonic()
        code, seconds = await code_when(there, 401, headers=bearer(key))
        assert code == "key_revoked"
        assert seconds < 1 + READ_SECONDS
        await stream.content.read()
        assert time.monotonic() - began < 1 + READ_SECONDS
