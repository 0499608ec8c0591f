"""Requests through Prism, which checks them and the responses by our own OpenAPI document."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import APIStatusError, AsyncOpenAI
from providers.upstreams import unused_port

from peers.processes import prism
from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning"),
]
KEY = "a-long-random-text"
FOX: dict[str, Any] = {"prompt": "A fox", "seconds": "1", "size": "64x64"}
EVERYTHING = {
    "metadata": {"order": "7"},
    "seed": 7,
    "audio": False,
    "reference_images": ["http://127.0.0.1:2/a.png"],
    "provider_options": {"steps": "4"},
    "unknown": "1",
}


@pytest.fixture
async def through_prism(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of Prism in front of a gateway."""
    async with running(Faults(queue_seconds=0, render_seconds=0)) as simulated:
        settings = Settings.of(
            openai_base_url=simulated.base_url,
            data_dir=tmp_path / "data",
            port=0,
            api_key=KEY,
            poll_seconds=0.05,
            allow_networks="127.0.0.0/8",
            webhook_secret="secret",
        )
        async with bootstrap.server(settings) as server, aiohttp.ClientSession() as session:
            async with session.get(f"{server.url}/openapi.json") as response:
                (tmp_path / "openapi.json").write_bytes(await response.read())
            place = (tmp_path / "openapi.json", server.url, unused_port(), tmp_path / "prism.log")
            async with prism(*place) as url:
                yield url


@pytest.fixture
async def sdk(through_prism: str) -> AsyncIterator[AsyncOpenAI]:
    """The official client, in front of Prism, in front of a gateway."""
    client = AsyncOpenAI(api_key=KEY, base_url=f"{through_prism}/v1", max_retries=0)
    yield client
    await client.close()


async def refusal(call: Callable[[], Awaitable[object]]) -> tuple[int, str]:
    """Return the status and the code of an error, which must be ours and not Prism's."""
    with pytest.raises(APIStatusError) as refused:
        await call()
    return refused.value.status_code, refused.value.response.json()["error"]["code"]


async def test_nothing_below_v1_violates_the_document(sdk: AsyncOpenAI) -> None:
    # No files, since Prism decodes bodies as text.
    await sdk.videos.create(**FOX, extra_body=EVERYTHING)
    created = await sdk.videos.create(**FOX)
    await sdk.post("/videos", body={"prompt": "A fox", "seconds": 1, "n": 2}, cast_to=object)
    video = await sdk.videos.poll(created.id)
    assert video.status == "completed"
    assert len((await sdk.videos.list(limit=1)).data) == 1
    for headers in ({}, {"Range": "bytes=0-3"}):
        await sdk.videos.download_content(video.id, extra_headers=headers)
    assert [one.id async for one in sdk.models.list()] == ["openai/sora-2"]
    assert (await sdk.models.retrieve("openai/sora-2")).owned_by == "openai"


async def test_no_error_below_v1_violates_the_document(sdk: AsyncOpenAI) -> None:
    nowhere = {"prompt": "A fox", "endpoints": ["ep_none"]}
    assert await refusal(lambda: sdk.videos.retrieve("video_none")) == (404, "job_not_found")
    refused = await refusal(lambda: sdk.post("/videos", body=nowhere, cast_to=object))
    assert refused == (400, "invalid_request")
    created = await sdk.videos.create(**FOX)
    await sdk.videos.poll(created.id)
    sprites = await refusal(lambda: sdk.videos.download_content(created.id, variant="spritesheet"))
    assert sprites == (404, "variant_not_found")
    edited = await refusal(lambda: sdk.videos.edit(prompt="A cat", video=("a.mp4", b"1234")))
    assert edited == (400, "not_offered")
    stranger = sdk.with_options(api_key="wrong")
    assert await refusal(lambda: stranger.models.retrieve("x")) == (401, "unauthorized")


class Client:
    """Sends requests through Prism, which replaces what violates the document by its own error."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def __call__(
        self, status: int, method: str, path: str, body: object = None, **headers: str
    ) -> Any:
        """Send a request; return the JSON of the response, whose status is the expected one."""
        url = self._url + path
        async with self._session.request(method, url, json=body, headers=headers) as response:
            content = await response.read()
            assert b"stoplight.io/prism" not in content, (method, path, content)
            assert response.status == status, (method, path, content)
            is_json = response.content_type == "application/json"
            return json.loads(content) if is_json else content

    async def ended(self, job_id: str) -> None:
        """Wait until a job is completed."""
        async with asyncio.timeout(30):
            while (await self(200, "GET", f"/api/jobs/{job_id}"))["status"] != "completed":
                pass

    async def poster(self, job_id: str) -> None:
        """Wait until a job's poster is made."""
        url = f"{self._url}/api/sora/videos/{job_id}/poster"
        async with asyncio.timeout(30):
            while True:
                async with self._session.get(url) as response:
                    content = await response.read()
                if response.status == 200:
                    return
                assert json.loads(content)["code"] == "poster_not_ready", content


@pytest.fixture
async def send(through_prism: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Client(session, through_prism)


async def test_nothing_about_jobs_violates_the_document(send: Client) -> None:
    body = {"script": "A fox", "seconds": "1", "size": "64x64"}
    await send(200, "POST", "/api/estimate", body)
    job = (await send(200, "POST", "/api/generate", body))["jobId"]
    await send.ended(job)
    for path in (
        f"/api/videos/status/{job}",
        "/api/jobs",
        "/api/jobs?status=completed&limit=1&metadata.order=7",
        f"/api/jobs/{job}/events",
        f"/api/sora/videos/{job}/download",
        f"/api/download?jobId={job}",
        "/api/events?limit=2",
        "/api/deliveries",
        "/api/models",
        "/api/models?served=true",
        "/api/costs?since=2026-01-01&until=2026-01-31",
        "/api/stats",
        "/api/attention",
        "/api/audit",
        "/healthz",
        "/readyz",
        "/.well-known/webhooks/jwks.json",
    ):
        await send(200, "GET", path)
    await send.poster(job)
    await send(201, "POST", f"/api/jobs/{job}/token", {})
    await send(200, "POST", f"/api/jobs/{job}/poll")
    for act in ("cancel", "abandon"):
        await send(409, "POST", f"/api/jobs/{job}/{act}")
    registered = {"soraJobId": "video_of_another_program"}
    other = (await send(200, "POST", "/api/jobs/register", registered))["jobId"]
    await send(204, "DELETE", f"/api/jobs/{job}")
    await send(404, "GET", f"/api/jobs/{job}")
    await send(200, "GET", f"/api/jobs/{other}")
    await send(200, "POST", "/api/watcher/pause")
    await send(200, "POST", "/api/watcher/resume")


async def test_nothing_about_endpoints_and_keys_violates_the_document(send: Client) -> None:
    endpoint = (await send(201, "POST", "/api/endpoints", {"url": "http://127.0.0.1:2/"}))["id"]
    await send(200, "GET", "/api/endpoints")
    await send(200, "GET", f"/api/endpoints/{endpoint}")
    await send(200, "POST", f"/api/endpoints/{endpoint}/test")
    await send(200, "PATCH", f"/api/endpoints/{endpoint}", {"enabled": False})
    await send(200, "POST", f"/api/endpoints/{endpoint}/rotate", {})
    run = await send(202, "POST", "/api/deliveries/resend", {"since": "2026-01-31T10:00:00Z"})
    await send(200, "GET", f"/api/deliveries/resend/{run['id']}")
    await send(204, "DELETE", f"/api/endpoints/{endpoint}")
    project = (await send(201, "POST", "/api/projects", {"name": "shop"}))["id"]
    await send(200, "GET", f"/api/projects/{project}")
    await send(200, "PATCH", f"/api/projects/{project}", {"name": "store"})
    await send(200, "POST", f"/api/projects/{project}/rotate", {})
    key = (await send(201, "POST", "/api/keys", {"name": "app", "scopes": ["read"]}))["id"]
    for owner in (f"/api/projects/{project}", f"/api/keys/{key}"):
        await send(200, "PUT", f"{owner}/budgets", {"jobsPerDay": 5})
        await send(200, "GET", f"{owner}/budgets")
        raised = {"jobsPerDay": 9, "until": "2100-01-01T00:00:00Z"}
        await send(200, "POST", f"{owner}/budgets/raise", raised)
    for path in ("/api/projects", "/api/keys", f"/api/attention?project={project}"):
        await send(200, "GET", path)
    await send(200, "GET", f"/api/keys/{key}")
    await send(200, "POST", f"/api/keys/{key}/rotate", {})
    await send(200, "POST", f"/api/keys/{key}/revoke")
    await send(200, "POST", f"/api/projects/{project}/close", {})


async def test_nothing_of_vercels_door_violates_the_document(send: Client) -> None:
    await send(200, "GET", "/v4/ai/config")
    model = {"ai-model-id": "openai/sora-2"}
    start = {"prompt": "A fox", "n": 1, "duration": 1, "resolution": "64x64"}
    started = await send(200, "POST", "/v4/ai/video-model/start", start, **model)
    operation = {"operation": started["operation"]}
    await send.ended(started["operation"]["jobId"])
    await send(200, "POST", "/v4/ai/video-model/status", operation)
    await send(404, "POST", "/v4/ai/video-model/status", {"operation": {"jobId": "job_none"}})


async def test_no_refusal_violates_the_document(send: Client) -> None:
    for path in ("jobs/job_none", "endpoints/ep_none", "keys/key_none", "projects/none"):
        await send(404, "GET", f"/api/{path}")
    await send(400, "POST", "/api/generate", {"script": "A fox", "endpoints": ["ep_none"]})
    await send(404, "POST", "/api/deliveries/1/resend")
    await send(404, "POST", "/providers/openai/webhook/none")
