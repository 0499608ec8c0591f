"""Grants of keys over HTTP: no key hands out what lasts longer, or may more, than itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from gateways import Gateway, Reply, gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
VIDEO = {"script": "A fox", "seconds": 1, "size": "64x64"}
TOO_LONG = (403, "grant_too_wide", "expires")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("grants"), api_key=KEY) as one:
        yield one


async def made(server: Gateway, *scopes: str, by: dict[str, str] = BEARER, **fields: Any) -> Reply:
    body = {"name": "app", "scopes": scopes, **fields}
    return await server.post("/api/keys", json=body, headers=by)


async def key_of(server: Gateway, *scopes: str, **fields: Any) -> Any:
    reply = await made(server, *scopes, **fields)
    assert reply.status == 201, reply.body
    return reply.json()


def of(key: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


async def rotated(server: Gateway, key: Any, overlap: str) -> Any:
    path, body = f"/api/keys/{key['id']}/rotate", {"overlap": overlap}
    reply = await server.post(path, json=body, headers=of(key))
    assert reply.status == 200, reply.body
    return reply.json()


# -- the text before a rotation --------------------------------------------------------------------


async def test_the_old_text_of_a_key_makes_none_that_outlasts_it(server: Gateway) -> None:
    old = await key_of(server, "admin")
    new = await rotated(server, old, "1h")
    for expires in ({}, {"expires": "2h"}):
        refused = await made(server, "read", by=of(old), **expires)
        assert refused.refusal == TOO_LONG
    brief = await made(server, "admin", by=of(old), expires="30m")
    assert brief.status == 201
    assert (await made(server, "read", by=of(brief.json()))).refusal == TOO_LONG
    assert (await made(server, "admin", by=of(new))).status == 201


async def test_the_old_text_of_a_key_rotates_none_that_outlasts_it(server: Gateway) -> None:
    old, other = await key_of(server, "admin"), await key_of(server, "read")
    brief = await key_of(server, "read", expires="30m")
    new = await rotated(server, old, "1h")
    for key in (old, other):
        reply = await server.post(f"/api/keys/{key['id']}/rotate", headers=of(old))
        assert reply.refusal == TOO_LONG
        assert "text" in reply.json()["error"]
    reply = await server.post(f"/api/keys/{brief['id']}/rotate", headers=of(old))
    assert reply.status == 200
    await rotated(server, new, "0s")


async def test_a_browser_token_ends_with_the_text_that_made_it(server: Gateway) -> None:
    old = await key_of(server, "submit", expires="2h")
    job = (await server.post("/api/generate", json=VIDEO, headers=of(old))).json()
    path = f"/api/jobs/{job['jobId']}/token"

    async def token_until(key: Any, expires: str) -> str:
        reply = await server.post(path, json={"expires": expires}, headers=of(key))
        assert reply.status == 201, reply.body
        return str(reply.json()["expiresAt"])

    assert await token_until(old, "3h") == old["expiresAt"]
    admin = await key_of(server, "admin")
    body = {"overlap": "1h"}
    reply = await server.post(f"/api/keys/{old['id']}/rotate", json=body, headers=of(admin))
    new = reply.json()
    assert await token_until(old, "3h") == new["previousUntil"]
    assert await token_until(old, "1m") < new["previousUntil"]
    assert await token_until(new, "3h") == new["expiresAt"]


# -- rates -----------------------------------------------------------------------------------------


async def test_a_key_grants_no_weaker_rates_than_its_own(server: Gateway) -> None:
    admin = await key_of(server, "admin", rates={"requestsPerMinute": 60})
    weaker = await made(server, "read", by=of(admin), rates={"requestsPerMinute": 61})
    assert weaker.refusal == (403, "grant_too_wide", "rates")
    assert "60 per 60 s" in weaker.json()["error"]
    for rates, expected in (
        (None, {"requestsPerMinute": 60}),
        ({}, {"requestsPerMinute": 60}),
        ({"requestsPerDay": 9}, {"requestsPerMinute": 60, "requestsPerDay": 9}),
        ({"requestsPerMinute": 59}, {"requestsPerMinute": 59}),
    ):
        key = await key_of(server, "read", by=of(admin), rates=rates)
        assert {name: most for name, most in key["rates"].items() if most} == expected
    free = await key_of(server, "read")
    reply = await server.post(f"/api/keys/{free['id']}/rotate", headers=of(admin))
    assert reply.refusal == (403, "grant_too_wide", "rates")


async def test_a_request_without_the_scope_counts_too(server: Gateway) -> None:
    key = await key_of(server, "read", rates={"requestsPerHour": 2})
    replies = [await server.get("/api/keys", headers=of(key)) for _ in range(3)]
    missing = (403, "scope_missing", None)
    assert [reply.refusal for reply in replies] == [missing, missing, (429, "rate_limited", None)]
    assert replies[1].headers["RateLimit"].startswith('"hour";r=0;t=')
