"""Requests through Prism, which checks them and the responses by our own OpenAPI document."""

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
async def sdk(tmp_path: Path) -> AsyncIterator[AsyncOpenAI]:
    """The official client, in front of Prism, in front of a gateway."""
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
                client = AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
                yield client
                await client.close()


async def refusal(call: Callable[[], Awaitable[object]]) -> tuple[int, str]:
    """Return the status and the code of an error, which must be ours and not Prism's."""
    with pytest.raises(APIStatusError) as refused:
        await call()
    return refused.value.status_code, refused.value.response.json()["error"]["code"]


async def test_nothing_below_v1_violates_the_document(sdk: AsyncOpenAI) -> None:
    # No files, since Prism decodes bodies as text.
    created = await sdk.videos.create(**FOX, extra_body=EVERYTHING)
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
    thumbnail = await refusal(lambda: sdk.videos.download_content(created.id, variant="thumbnail"))
    assert thumbnail == (404, "variant_not_found")
    edited = await refusal(lambda: sdk.videos.edit(prompt="A cat", video=("a.mp4", b"1234")))
    assert edited == (400, "not_offered")
    stranger = sdk.with_options(api_key="wrong")
    assert await refusal(lambda: stranger.models.retrieve("x")) == (401, "unauthorized")
