"""A call that waits for its video holds no memory of its request's body."""

import gc
import json
from base64 import b64encode
from io import BytesIO
from pathlib import Path

from aiohttp import ClientResponse
from gateways import SMALL, Gateway
from starlette.requests import Request
from vercel_clients import FOX, headers, served

PNG = b"\x89PNG\r\n\x1a\n"
JSON = {"Content-Type": "application/json"}
CALLS = 5
"""Their bodies are together larger than the memory of all bodies."""


def image(number: int, size: int) -> str:
    return b64encode(PNG + b"%09d" % number + b"a" * size).decode()


async def waiting(server: Gateway, number: int) -> ClientResponse:
    """Send a call, and read the beginning of its response."""
    file = {"type": "file", "mediaType": "image/png", "data": image(number, 700_000)}
    response = await server.session.post(
        f"{server.url}/v4/ai/video-model",
        data=BytesIO(json.dumps({**FOX, "image": file}).encode()),
        headers={**headers(), **JSON},
    )
    assert response.status == 200, await response.text()
    assert (await response.content.readany()).startswith(b": ")
    return response


async def test_calls_that_wait_leave_the_memory_of_bodies_to_others(tmp_path: Path) -> None:
    async with served(tmp_path, transfer_seconds=1) as server:
        calls = [await waiting(server, number) for number in range(CALLS)]
        uri = f"data:image/png;base64,{image(CALLS, 150_000)}"
        reply = await server.post("/api/generate", json={"script": "x", **SMALL, "image": uri})
        assert reply.status == 200, reply.body
        requests = [one for one in gc.get_objects() if isinstance(one, Request)]
        assert not [one for one in requests if getattr(one, "_body", b"")]
        for call in calls:
            call.close()
