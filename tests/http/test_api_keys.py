"""Keys of projects over HTTP: made, used, rotated, revoked, and refused."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateways import AT_ONCE, Client, Gateway, Reply, gateway, until
from receivers import receiver

from reelhook.domain.caller import OPERATOR
from reelhook.domain.errors import SettingsError
from reelhook.doors.access import OPERATOR_HEADER, operator_proof
from reelhook.simulator.faults import Faults
from reelhook.storage.sqlite.driver import read_key

KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
SLOW = Faults(queue_seconds=0, render_seconds=1000)
VIDEO = {"script": "A fox", "seconds": 1, "size": "64x64"}


@asynccontextmanager
async def keyed(tmp_path: Path, **more: Any) -> AsyncIterator[Gateway]:
    """A server with REELHOOK_API_KEY, called by the operator."""
    async with gateway(tmp_path, api_key=KEY, headers=BEARER, **more) as server:
        yield server


async def made(server: Client, *scopes: str, **fields: Any) -> Any:
    """Make a key; return it with its text."""
    body = {"name": "app", "scopes": scopes or ("read",), **fields}
    reply = await server.post("/api/keys", json=body)
    assert reply.status == 201, reply.body
    return reply.json()


def bearer(key: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


async def get(server: Client, path: str, key: Any) -> Reply:
    return await server.get(path, headers=bearer(key))


async def create(server: Client, key: Any, **fields: Any) -> Reply:
    return await server.post("/api/generate", json={**VIDEO, **fields}, headers=bearer(key))


# -- making and listing ----------------------------------------------------------------------------


async def test_a_key_is_shown_once_and_lets_its_holder_in(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        key = await made(server, "submit", expires="90d", rates={"requestsPerMinute": 60})
        assert key["key"].startswith(key["hint"])
        assert (key["project"], key["scopes"], key["models"]) == ("default", ["submit"], None)
        assert key["createdBy"] is None
        assert key["rates"]["requestsPerMinute"] == 60
        assert (await create(server, key)).status == 200
        listed = (await server.get("/api/keys")).json()["keys"]
        assert [one["id"] for one in listed] == [key["id"]]
        assert "key" not in listed[0]

        async def used() -> bool:
            one = (await server.get(f"/api/keys/{key['id']}")).json()
            assert one == {**listed[0], "lastUsedAt": one["lastUsedAt"]}
            return one["lastUsedAt"] is not None

        await until(used)
        assert key["key"] not in str(server.logs)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["operator"]}, "scopes.0"),
        ({"scopes": "read"}, "scopes"),
        ({"expires": "90"}, "expires"),
        ({"expires": "0d"}, "expires"),
        ({"expires": "3651d"}, "expires"),
        ({"expires": 90}, "expires"),
        ({"models": [""]}, "models.0"),
        ({"rates": {"requestsPerMinute": 0}}, "rates.requestsPerMinute"),
        ({"rates": {"requestPerMinute": 1}}, "rates.requestPerMinute"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_made(
    tmp_path: Path, wrong: dict[str, Any], field: str
) -> None:
    async with keyed(tmp_path) as server:
        body = {"name": "app", "scopes": ["read"], **wrong}
        reply = await server.post("/api/keys", json=body)
        assert reply.refusal == (400, "invalid_request", field)
        assert (await server.get("/api/keys")).json() == {"keys": []}


async def test_a_key_makes_none_that_has_more_than_itself(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        admin = await made(server, "admin", expires="1d", models=["openai/sora-2"])
        headers = bearer(admin)
        for more, code, field in (
            ({"expires": "2d"}, "grant_too_wide", "expires"),
            ({}, "grant_too_wide", "expires"),
            ({"expires": "1h"}, "grant_too_wide", "models"),
            ({"expires": "1h", "models": ["openai/other"]}, "grant_too_wide", "models"),
            ({"project": "prj_other"}, "project_not_found", None),
        ):
            body = {"name": "more", "scopes": ["read"], **more}
            reply = await server.post("/api/keys", json=body, headers=headers)
            status = 404 if code == "project_not_found" else 403
            assert reply.refusal == (status, code, field), more
        less = {"expires": "1h", "models": ["sora-2"], "project": "default"}
        reply = await server.post(
            "/api/keys", json={"name": "less", "scopes": ["admin"], **less}, headers=headers
        )
        assert reply.status == 201
        assert reply.json()["createdBy"] == admin["id"]
        assert reply.json()["models"] == ["openai/sora-2"]
        wide = await made(server, "admin")
        reply = await server.post(f"/api/keys/{wide['id']}/rotate", headers=headers)
        assert reply.refusal == (403, "grant_too_wide", "expires")


# -- refusals --------------------------------------------------------------------------------------


async def test_a_key_without_the_scope_is_told_which_one(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        key = await made(server, "read")
        reply = await create(server, key)
        assert reply.refusal == (403, "scope_missing", None)
        assert reply.json()["scope"] == "submit"
        assert "submit" in reply.json()["error"]
        paused = await server.post("/api/watcher/pause", headers=bearer(key))
        assert paused.refusal == (403, "scope_missing", None)
        assert "REELHOOK_API_KEY" in paused.json()["error"]
        assert await server.total() == 0


async def test_a_malformed_or_unknown_key_is_refused(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        key = await made(server, "read")
        reads = server.hook.gateway.authentication._readings
        for text in (key["key"][:-1], key["key"] + "x", key["key"][:-1] + "!", "rhk_", "rhk_é"):
            refused = await server.get("/api/jobs", headers={"Authorization": f"Bearer {text}"})
            assert refused.refusal == (401, "unauthorized", None)
            assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert reads == {}  # without a look-up
        unknown = "rhk_79oYApew53vggMnSsf56wIemJAJ2XvXz3WyI5pB4Dor1DfZ9W"
        refused = await server.get("/api/jobs", headers={"Authorization": f"Bearer {unknown}"})
        assert refused.refusal == (401, "unauthorized", None)
        assert len(reads) == 1


async def test_a_revoked_key_is_refused_at_once_and_says_so(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        key = await made(server, "read")
        assert (await get(server, "/api/jobs", key)).status == 200
        revoked = (await server.post(f"/api/keys/{key['id']}/revoke")).json()
        assert revoked["revokedAt"] is not None
        assert (await get(server, "/api/jobs", key)).refusal == (401, "key_revoked", None)
        again = (await server.post(f"/api/keys/{key['id']}/revoke")).json()
        assert again["revokedAt"] == revoked["revokedAt"]
        rotated = await server.post(f"/api/keys/{key['id']}/rotate")
        assert rotated.refusal == (409, "key_ended", None)
        unknown = await server.post("/api/keys/key_unknown/revoke")
        assert unknown.refusal == (404, "key_not_found", None)


async def test_an_expired_key_says_so(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        key = await made(server, "read", expires="1s")

        async def expired() -> bool:
            reply = await get(server, "/api/jobs", key)
            assert reply.status == 200 or reply.refusal == (401, "key_expired", None)
            return reply.status == 401

        await until(expired, 10)


async def test_a_key_of_a_closed_project_is_refused_and_none_is_made_there(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        project = await new_project(server, "shop")
        key = await made(server, "read", project="shop")
        assert key["project"] == project
        assert (await get(server, "/api/jobs", key)).status == 200
        await server.hook.gateway.projects.close(OPERATOR, "shop")
        server.hook.gateway.authentication.forget()
        refused = await get(server, "/api/jobs", key)
        assert refused.refusal == (401, "key_revoked", None)
        assert refused.json()["problem"] == "key_project_closed"


async def new_project(server: Gateway, name: str) -> str:
    return (await server.hook.gateway.projects.create(OPERATOR, name)).id


async def test_a_database_that_is_away_lets_no_key_in(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        key = await made(server, "read")
        store: Any = server.hook.gateway.keys._store
        await store._database.close()
        refused = await get(server, "/api/models", key)
        assert refused.refusal == (503, "store_unavailable", None)
        assert "Retry-After" in refused.headers
        assert (await server.get("/api/models")).status == 200  # the operator's needs no look-up


# -- rotation --------------------------------------------------------------------------------------


async def test_both_texts_are_accepted_until_the_overlap_ends(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        first = await made(server, "read")
        second = (await server.post(f"/api/keys/{first['id']}/rotate")).json()
        assert (second["id"], second["key"] != first["key"]) == (first["id"], True)
        assert second["previousUntil"] is not None
        for key in (first, second):
            assert (await get(server, "/api/jobs", key)).status == 200
        third = await server.post(f"/api/keys/{first['id']}/rotate", json={"overlap": "0s"})
        assert (await get(server, "/api/jobs", second)).refusal == (401, "key_expired", None)
        assert (await get(server, "/api/jobs", first)).refusal == (401, "unauthorized", None)
        assert (await get(server, "/api/jobs", third.json())).status == 200


async def test_a_rotated_key_still_replays(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        key = await made(server, "admin")
        repeat = {"Idempotency-Key": "order 17", **bearer(key)}
        one = await server.post("/api/generate", json=VIDEO, headers=repeat)
        other = await server.post(f"/api/keys/{key['id']}/rotate", headers=bearer(key))
        again = {"Idempotency-Key": "order 17", **bearer(other.json())}
        two = await server.post("/api/generate", json=VIDEO, headers=again)
        assert one.json()["jobId"] == two.json()["jobId"]


# -- the first key ---------------------------------------------------------------------------------


async def test_once_a_key_was_made_no_request_without_one_is_answered(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        assert (await server.get("/api/jobs")).status == 200
        key = await made(server, "admin")
        await server.post(f"/api/keys/{key['id']}/revoke", headers=bearer(key))
        for path in ("/api/jobs", "/api/stats", "/nowhere"):
            assert (await server.get(path)).refusal == (401, "unauthorized", None)
        other = {"Authorization": "Bearer of the application around it"}
        assert (await server.get("/api/jobs", headers=other)).status == 401
        for path in ("/docs", "/openapi.json", "/healthz", "/readyz"):
            assert (await server.get(path)).status == 200
        listing = await proven(server, "GET", "/api/keys")
        assert [one["id"] for one in listing.json()["keys"]] == [key["id"]]
        assert (
            await proven(server, "POST", "/api/keys", {"name": "b", "scopes": ["read"]})
        ).status == 201
    async with gateway(tmp_path) as server:
        assert (await server.get("/api/jobs")).refusal == (401, "unauthorized", None)


async def test_then_the_links_of_webhooks_are_signed(tmp_path: Path) -> None:
    async with receiver() as hook:
        async with gateway(tmp_path, AT_ONCE) as server:
            key = await made(server, "submit")
            for _ in range(2):
                job = (await create(server, key, webhookUrl=hook.url)).json()
                url = (await hook.ending(job["jobId"])).body["videoUrl"]
                assert (await server.get(url.removeprefix(server.url))).status == 200
        async with gateway(tmp_path, AT_ONCE) as server:
            job = (await create(server, key, webhookUrl=hook.url)).json()
            url = (await hook.ending(job["jobId"])).body["videoUrl"]
            assert (await server.get(url.removeprefix(server.url))).status == 200


async def test_a_proof_for_another_body_opens_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        await made(server, "read")
        body = {"name": "b", "scopes": ["admin"]}
        refused = await proven(server, "POST", "/api/keys", body, signed={"name": "a"})
        assert refused.refusal == (401, "unauthorized", None)
        stale = await proven(server, "POST", "/api/keys", body, age_seconds=61)
        assert stale.refusal == (401, "unauthorized", None)


async def proven(
    server: Gateway,
    method: str,
    path: str,
    body: Any = None,
    *,
    signed: Any = None,
    age_seconds: int = 0,
) -> Reply:
    """Send a request as the operator's command line does."""
    assert isinstance(server.settings.database, Path)
    key = read_key(server.settings.database, "operator")
    assert key is not None
    raw, proved = (
        b"" if one is None else json.dumps(one).encode() for one in (body, signed or body)
    )
    at = int(time.time() * 1000) - age_seconds * 1000
    headers = {OPERATOR_HEADER: operator_proof(key, at, method, path, proved)}
    headers |= {} if body is None else {"Content-Type": "application/json"}
    return await server.request(method, path, data=raw or None, headers=headers)


@pytest.mark.parametrize("public_url", ["https://video.example"])
async def test_others_may_reach_a_server_that_has_a_key(tmp_path: Path, public_url: str) -> None:
    with pytest.raises(SettingsError, match="reelhook keys create"):
        async with gateway(tmp_path, public_url=public_url):
            pass
    async with gateway(tmp_path) as server:
        await made(server, "read", expires="1h")
    async with gateway(tmp_path, public_url=public_url) as server:
        assert (await server.get("/api/jobs")).status == 401


# -- projects and models ---------------------------------------------------------------------------


async def test_the_operator_names_a_project_and_a_key_only_its_own(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        project = await new_project(server, "shop")
        other = await new_project(server, "blog")
        key = await made(server, "admin", project="shop")
        for named in ("shop", project):
            body = {**VIDEO, "project": named}
            assert (await server.post("/api/generate", json=body)).status == 200
            assert (await create(server, key, project=named)).status == 200
            assert (await get(server, f"/api/models?project={named}", key)).status == 200
        for named in ("blog", other, "default", "nowhere", ""):
            for reply in (
                await get(server, f"/api/models?project={named}", key),
                await server.get("/api/models?project=nowhere"),
            ):
                assert reply.refusal == (404, "project_not_found", None)
            if named:
                reply = await create(server, key, project=named)
                assert reply.refusal == (404, "project_not_found", None)
        listed = (await server.get("/api/keys?project=blog")).json()["keys"]
        assert listed == []
        assert len((await server.get("/api/keys?project=shop")).json()["keys"]) == 1
        of_default = await made(server, "admin")
        reply = await get(server, f"/api/keys/{of_default['id']}", key)
        assert reply.refusal == (404, "key_not_found", None)


async def test_only_the_allowed_models_are_used(tmp_path: Path) -> None:
    aliases = {"model_aliases": "fast=openai/sora-2,slow=openai/sora-2-pro"}
    async with keyed(tmp_path, **aliases) as server:
        key = await made(server, "submit", models=["fast"])
        assert key["models"] == ["openai/sora-2"]
        for model in ("sora-2", "openai/sora-2", "fast"):
            assert (await create(server, key, model=model)).status == 200
        for fields in (
            {"model": "slow"},
            {"model": "sora-2-pro"},
            {},
            {"model": "fast", "fallbacks": ["slow"]},
        ):
            reply = await create(server, key, **fields)
            assert reply.refusal == (403, "model_not_allowed", None), fields
            assert reply.json()["allowed"] == ["openai/sora-2"]
        assert await server.total() == 3


# -- rate limits -----------------------------------------------------------------------------------


async def test_a_key_that_sends_too_much_is_told_how_long_to_wait(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        key = await made(server, "read", rates={"requestsPerHour": 2})
        one, two, three = [await get(server, "/api/jobs", key) for _ in range(3)]
        assert one.headers["RateLimit-Policy"] == '"hour";q=2;w=3600'
        assert two.headers["RateLimit"].startswith('"hour";r=0;t=')
        assert three.refusal == (429, "rate_limited", None)
        assert int(three.headers["Retry-After"]) > 1700
        assert "RateLimit" in three.headers
        free = await made(server, "read")
        assert "RateLimit" not in (await get(server, "/api/jobs", free)).headers


# -- streams ---------------------------------------------------------------------------------------


async def test_a_stream_ends_within_a_second_of_its_key(tmp_path: Path) -> None:
    async with keyed(tmp_path, faults=SLOW) as server:
        key = await made(server, "submit")
        job_id = (await create(server, key)).json()["jobId"]
        url = f"{server.url}/api/jobs/events?jobIds={job_id}"
        timeout = aiohttp.ClientTimeout(20)
        async with server.session.get(url, headers=bearer(key), timeout=timeout) as response:
            assert response.status == 200
            await response.content.readline()
            began = time.monotonic()
            await server.post(f"/api/keys/{key['id']}/revoke")
            await response.content.read()
            assert time.monotonic() - began < 5


async def test_streams_without_a_key_end_with_the_first_key(tmp_path: Path) -> None:
    async with gateway(tmp_path, faults=SLOW) as server, AsyncExitStack() as stack:
        job_id = await server.submit()
        token = (await server.post(f"/api/jobs/{job_id}/token")).json()["token"]
        url = f"{server.url}/api/jobs/events?jobIds={job_id}"
        timeout = aiohttp.ClientTimeout(20)
        responses = [
            await stack.enter_async_context(server.session.get(one, timeout=timeout))
            for one in (url, f"{url}&token={token}")
        ]
        for response in responses:
            assert response.status == 200
            await response.content.readline()
        await made(server, "read")
        for response in responses:
            await response.content.read()
