"""Repeated creates get their job although a rate is exceeded or a remixed video is gone."""

import asyncio
from pathlib import Path

import pytest
from gateways import AT_ONCE, Gateway
from openai_clients import FOX, QUIET, posted, served

pytestmark = QUIET


async def limited(server: Gateway) -> dict[str, str]:
    """Return the headers of a key that may send one request an hour."""
    body = {"name": "app", "scopes": ["submit"], "rates": {"requestsPerHour": 1}}
    key = (await server.post("/api/keys", json=body)).json()["key"]
    return {"Authorization": f"Bearer {key}"}


def counted(count: int) -> dict[str, str]:
    return {"X-Stainless-Retry-Count": str(count), "X-Stainless-Read-Timeout": "0.2"}


async def test_of_equal_retries_at_once_only_one_passes_an_exceeded_rate(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (server, _):
        key = await limited(server)
        first = await server.post("/v1/videos", json=FOX, headers=key | counted(0))
        retry = key | counted(1)
        replies = await asyncio.gather(
            *(server.post("/v1/videos", json=FOX, headers=retry) for _ in range(20))
        )
        ids = [reply.json()["id"] for reply in replies if reply.status == 200]
        assert ids == [first.json()["id"]]
        assert sorted(reply.status for reply in replies) == [200] + 19 * [429]
        assert await server.total() == 1


async def test_a_replay_of_an_idempotency_key_is_not_refused_by_the_rate(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (server, _):
        key = await limited(server)
        one, two = (key | {"Idempotency-Key": name} for name in ("one", "two"))
        first = await server.post("/v1/videos", json=FOX, headers=one)
        again = await server.post("/v1/videos", json=FOX, headers=one)
        assert (again.status, again.json()["id"]) == (200, first.json()["id"])
        assert (await server.post("/v1/videos", json=FOX, headers=two)).status == 429
        other = await server.post("/v1/videos", json=FOX | {"prompt": "A dog"}, headers=one)
        assert other.status == 422
        assert await server.total() == 1


async def test_generate_replays_an_idempotency_key_whatever_the_rate(tmp_path: Path) -> None:
    async with served(tmp_path, AT_ONCE) as (server, _):
        key, body = await limited(server), {"script": "A fox"}
        one = key | {"Idempotency-Key": "one"}
        first = await server.post("/api/generate", json=body, headers=one)
        again = await server.post("/api/generate", json=body, headers=one)
        assert (again.status, again.json()) == (200, first.json())
        other = await server.post("/api/generate", json={"script": "A dog"}, headers=one)
        assert other.refusal == (422, "idempotency_key_reused", None)
        for headers in (key, key | {"Idempotency-Key": "two"}):
            refused = await server.post("/api/generate", json=body, headers=headers)
            assert (refused.status, refused.json()["code"]) == (429, "rate_limited")
            assert "Retry-After" in refused.headers
        assert await server.total() == 1


@pytest.mark.parametrize(
    ("first", "again"), [(({"Idempotency-Key": "one"},) * 2), (counted(0), counted(1))]
)
async def test_a_remix_is_replayed_after_its_video_was_deleted(
    tmp_path: Path, first: dict[str, str], again: dict[str, str]
) -> None:
    async with served(tmp_path, AT_ONCE) as (server, sdk):
        video = await sdk.videos.poll((await posted(sdk))["id"])
        path, snow = f"/v1/videos/{video.id}/remix", {"prompt": "snow"}
        remix = await server.post(path, json=snow, headers=first)
        await sdk.videos.delete(video.id)
        replay = await server.post(path, json=snow, headers=again)
        assert (replay.status, replay.json()["id"]) == (200, remix.json()["id"])
        assert (await server.post(path, json={"prompt": "rain"}, headers=first)).status in {
            404,
            422,
        }
