"""Requests as `ai` sends them to Vercel's AI Gateway, in front of a gateway."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateways import Gateway, Reply, gateway, until

from reelhook.simulator.faults import Faults

KEY = "a-long-random-text"
MODEL = "openai/sora-2"
FOX = {"prompt": "A fox", "n": 1, "duration": 4, "resolution": "1280x720", "providerOptions": {}}


@asynccontextmanager
async def served(folder: Path, faults: Faults | None = None, **more: Any) -> AsyncIterator[Gateway]:
    """Serve until the block ends."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with gateway(folder, faults, api_key=KEY, headers=headers, **more) as server:
        yield server


def headers(model: str | None = MODEL, key: str | None = None) -> dict[str, str]:
    """Return the headers of a call, besides that of the API key."""
    given = {
        "ai-model-id": model,
        "ai-video-model-specification-version": "4",
        "ai-gateway-protocol-version": "0.0.1",
        "ai-gateway-auth-method": "api-key",
        "idempotency-key": key,
    }
    return {name: value for name, value in given.items() if value is not None}


async def started(
    server: Gateway, *, model: str | None = MODEL, key: str | None = None, **fields: Any
) -> Reply:
    """Start a video."""
    body = {**FOX, **fields}
    return await server.post("/v4/ai/video-model/start", json=body, headers=headers(model, key))


async def generated(
    server: Gateway, *, model: str | None = MODEL, key: str | None = None, **fields: Any
) -> Reply:
    """Make a video, and wait for it."""
    body = {**FOX, **fields}
    return await server.post("/v4/ai/video-model", json=body, headers=headers(model, key))


async def status_of(server: Gateway, operation: Any) -> Reply:
    body = {"operation": operation}
    return await server.post("/v4/ai/video-model/status", json=body, headers=headers())


def event(reply: Reply) -> Any:
    """Return the event of a stream, which must be the only one."""
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    [line] = [line for line in reply.body.decode().split("\n\n") if line.startswith("data: ")]
    return json.loads(line.removeprefix("data: "))


def told(reply: Reply) -> tuple[int, str, Any, str]:
    """Return status, type, param and code of an error, which must have the door's form."""
    body = reply.json()
    assert set(body) == {"error"}, body
    detail: Mapping[str, Any] = body["error"]
    assert set(detail) == {"message", "type", "param", "code"}, detail
    assert detail["message"].strip()
    return reply.status, detail["type"], detail["param"], detail["code"]


async def rendered(server: Gateway, creations: int = 1) -> None:
    """Let so many creates arrive at the provider, and then the time of a render pass."""

    async def arrived() -> bool:
        return server.simulator.creations == creations

    await until(arrived)
    server.time.advance(1000)
