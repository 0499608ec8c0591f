"""The official `openai` client, unmodified, in front of a gateway."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateways import SMALL, Gateway, gateway, until
from openai import APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient
from openai.types import Video

from reelhook.simulator.faults import Faults

KEY = "a-long-random-text"
FOX = {"prompt": "A fox", "seconds": "1", "size": "64x64"}
_TLS = ssl.create_default_context()
"""Shared by all clients: each would read the system's certificates, which takes 20 ms of CPU."""
# The client warns that the vendor's own service ends; other servers speak the wire on.
QUIET = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


@asynccontextmanager
async def served(
    folder: Path, faults: Faults | None = None, *, retries: int = 0, **more: Any
) -> AsyncIterator[tuple[Gateway, AsyncOpenAI]]:
    """Serve until the block ends; yield the gateway and a client of it."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        gateway(folder, faults, api_key=KEY, headers=headers, **more) as server,
        client(server.url, retries=retries) as sdk,
    ):
        yield server, sdk


def client(url: str, key: str = KEY, *, retries: int = 0) -> AsyncOpenAI:
    http = DefaultAsyncHttpxClient(verify=_TLS)
    return AsyncOpenAI(api_key=key, base_url=f"{url}/v1", max_retries=retries, http_client=http)


async def posted(sdk: AsyncOpenAI, **fields: Any) -> Any:
    """Request a video with a body in JSON; return the response's."""
    body = {"prompt": "A fox", **SMALL, **fields}
    return await sdk.post("/videos", body=body, cast_to=object)


async def video_when(sdk: AsyncOpenAI, video_id: str, status: str) -> Video:
    async def has_status() -> Video | None:
        video = await sdk.videos.retrieve(video_id)
        return video if video.status == status else None

    found = await until(has_status)
    assert isinstance(found, Video)
    return found


def told(error: APIStatusError) -> tuple[int, str, str | None, str | None]:
    """Return status, type, param and code of an error, which must have OpenAI's form."""
    body = error.response.json()
    assert set(body) == {"error"}, body
    detail = body["error"]
    assert set(detail) - {"video_id"} == {"message", "type", "param", "code"}, detail
    assert detail["message"].strip()
    return error.status_code, detail["type"], detail["param"], detail["code"]
