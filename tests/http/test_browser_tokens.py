"""Browser tokens: each reads its own job, for a while, and ends with the key that made it."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from gateways import AT_ONCE, Gateway, gateway, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "a-long-random-text"
BEARER = {"Authorization": f"Bearer {KEY}"}
VIDEO = {"script": "A fox", "seconds": 1, "size": "64x64"}
UNAUTHORIZED = (401, "unauthorized", None)


def of(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("tokens"), AT_ONCE, api_key=KEY) as one:
        yield one


async def key_of(server: Gateway, *scopes: str, **fields: Any) -> Any:
    body = {"name": "app", "scopes": scopes or ("submit",), **fields}
    return (await server.post("/api/keys", json=body, headers=BEARER)).json()


async def finished(server: Gateway, headers: dict[str, str]) -> str:
    """Create a job, and wait until it is finished."""
    job_id = (await server.post("/api/generate", json=VIDEO, headers=headers)).json()["jobId"]

    async def completed() -> bool:
        job = (await server.get(f"/api/jobs/{job_id}", headers=BEARER)).json()
        return bool(job["status"] == "completed")

    await until(completed)
    return str(job_id)


async def token_of(
    server: Gateway, job_id: str, headers: dict[str, str], expires: str | None = None
) -> str:
    body = {} if expires is None else {"expires": expires}
    reply = await server.post(f"/api/jobs/{job_id}/token", json=body, headers=headers)
    assert reply.status == 201, reply.body
    return str(reply.json()["token"])


@pytest.mark.parametrize("by_operator", [True, False])
async def test_a_token_reads_its_own_job_and_nothing_else(
    server: Gateway, by_operator: bool
) -> None:
    headers = BEARER if by_operator else of((await key_of(server))["key"])
    job_id, other_id = await finished(server, headers), await finished(server, headers)
    token = await token_of(server, job_id, headers)
    own = (
        f"/api/videos/status/{job_id}",
        f"/api/sora/videos/{job_id}/download",
        f"/api/download?jobId={job_id}",
    )
    for path in own:
        join = "&" if "?" in path else "?"
        assert (await server.get(path, headers=of(token))).status == 200, path
        assert (await server.get(f"{path}{join}token={token}")).status == 200, path
    status = (await server.get(own[0], headers=of(token))).json()
    by_key = (await server.get(own[0], headers=headers)).json()
    assert status == {**by_key, "videoUrl": f"{server.url}{own[1]}"}
    for path in (
        f"/api/videos/status/{other_id}",
        f"/api/sora/videos/{other_id}/download",
        f"/api/download?jobId={other_id}",
        f"/api/download?jobId={job_id}&jobId={other_id}",
        f"/api/jobs/events?jobIds={other_id}",
        f"/api/jobs/events?jobIds={job_id},{other_id}",
        f"/api/jobs/{job_id}",
        f"/api/jobs/{job_id}/events",
        "/api/jobs",
        "/api/events",
        "/api/models",
        "/nowhere",
    ):
        refused = await server.get(path, headers=of(token))
        assert refused.refusal == (403, "forbidden", None), path
    for method, path in (
        ("POST", f"/api/jobs/{job_id}/token"),
        ("POST", f"/api/jobs/{job_id}/cancel"),
        ("POST", f"/api/videos/status/{job_id}"),
        ("DELETE", f"/api/videos/status/{job_id}"),
    ):
        assert (await server.request(method, path, headers=of(token))).status == 403
        assert (await server.request(method, f"{path}?token={token}")).refusal == UNAUTHORIZED


async def live_event(server: Gateway, job_id: str, headers: dict[str, str]) -> Any:
    """Return the first event of a stream."""
    url = f"{server.url}/api/jobs/events?jobIds={job_id}"
    timeout = aiohttp.ClientTimeout(20)
    async with server.session.get(url, headers=headers, timeout=timeout) as response:
        assert response.status == 200
        while not (line := await response.content.readline()).startswith(b"data: "):
            pass
        return json.loads(line.removeprefix(b"data: "))


async def test_a_token_follows_its_job_live_and_gets_no_link_that_outlives_it(
    server: Gateway,
) -> None:
    headers = of((await key_of(server))["key"])
    job_id = await finished(server, headers)
    token = await token_of(server, job_id, headers)
    by_key = await live_event(server, job_id, headers)
    by_token = await live_event(server, job_id, of(token))
    video_url = f"/api/sora/videos/{job_id}/download"
    assert by_key.pop("videoUrl").startswith(f"{server.url}{video_url}?signature=")
    assert by_key.pop("providerVideoUrl").startswith("http")
    by_key.pop("contentExpiresAt")
    assert by_token == {**by_key, "videoUrl": f"{server.url}{video_url}"}
    assert (await server.get(video_url)).refusal == UNAUTHORIZED
    assert (await server.get(f"{video_url}?token={token}")).status == 200


async def test_a_key_in_an_address_opens_nothing(server: Gateway) -> None:
    key = (await key_of(server))["key"]
    job_id = await finished(server, of(key))
    path = f"/api/videos/status/{job_id}"
    for text in (key, KEY):
        assert (await server.get(f"{path}?token={text}")).refusal == UNAUTHORIZED
        assert (await server.get(path, headers=of(text))).status == 200


async def test_a_stream_ends_with_the_key_of_its_token_and_with_the_token(server: Gateway) -> None:
    headers = of((await key_of(server))["key"])
    job_id = await finished(server, headers)
    short = await token_of(server, job_id, headers, "1s")
    maker = await key_of(server, "read")
    long = await token_of(server, job_id, of(maker["key"]))
    timeout = aiohttp.ClientTimeout(20)
    for text, revokes in ((short, False), (long, True)):
        url = f"{server.url}/api/jobs/events?jobIds={job_id}&token={text}"
        async with server.session.get(url, timeout=timeout) as response:
            assert response.status == 200
            if revokes:
                await server.post(f"/api/keys/{maker['id']}/revoke", headers=BEARER)
            began = time.monotonic()
            await response.content.read()
            assert time.monotonic() - began < 5
    status = f"/api/videos/status/{job_id}"
    assert (await server.get(status, headers=of(short))).refusal == (401, "key_expired", None)
    assert (await server.get(status, headers=of(long))).refusal == (401, "key_revoked", None)


async def test_a_rotation_of_the_key_ends_no_token(server: Gateway) -> None:
    key = await key_of(server)
    job_id = await finished(server, of(key["key"]))
    token = await token_of(server, job_id, of(key["key"]))
    body = {"overlap": "0s"}
    await server.post(f"/api/keys/{key['id']}/rotate", json=body, headers=BEARER)
    status = await server.get(f"/api/videos/status/{job_id}", headers=of(token))
    assert status.status == 200


@pytest.mark.parametrize("expires", ["25h", "2d", "1", ""])
async def test_a_token_lasts_a_day_at_most(server: Gateway, expires: str) -> None:
    job_id = await finished(server, BEARER)
    path = f"/api/jobs/{job_id}/token"
    refused = await server.post(path, json={"expires": expires}, headers=BEARER)
    assert refused.refusal == (400, "invalid_request", "expires")
    unknown = await server.post("/api/jobs/job_unknown/token", headers=BEARER)
    assert unknown.refusal == (404, "job_not_found", None)


async def test_a_token_is_never_logged(server: Gateway) -> None:
    job_id = await finished(server, BEARER)
    token = await token_of(server, job_id, BEARER)
    for path in (
        f"/api/videos/status/{job_id}?token={token}",
        f"/api/jobs?token={token}",
        f"/api/videos/status/{job_id}?token={token}x",
        f"/nowhere?token={token}",
    ):
        await server.get(path)
    assert token[10:] not in str(server.logs)


async def test_the_operator_s_tokens_end_with_its_key(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("operator")
    async with gateway(directory, AT_ONCE, api_key=KEY) as first:
        job_id = await finished(first, BEARER)
        token = await token_of(first, job_id, BEARER)
    async with gateway(directory, AT_ONCE, api_key=KEY) as again:
        path = f"/api/videos/status/{job_id}"
        assert (await again.get(path, headers=of(token))).status == 200
    async with gateway(directory, AT_ONCE, api_key="another") as other:
        assert (await other.get(path, headers=of(token))).refusal == UNAUTHORIZED
