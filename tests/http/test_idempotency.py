"""`Idempotency-Key`: a request that is sent again brings the first answer again."""

import asyncio
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import pytest
from gateways import AT_ONCE, Gateway, Reply, gateway

BODY = {"script": "A fox", "seconds": "1", "size": "64x64"}


async def send(server: Gateway, key: str = "k1", **options: Any) -> Reply:
    headers = {"Idempotency-Key": key, **options.pop("headers", {})}
    options.setdefault("json", BODY)
    return await server.post("/api/generate", headers=headers, **options)


async def test_the_same_request_brings_the_first_answer_byte_for_byte(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        first = await send(server)
        await server.job_when(first.json()["jobId"], "completed")
        again = await send(server)
        assert (again.status, again.body) == (200, first.body)
        assert await server.total() == 1
        assert server.simulator.creations == 1


async def test_requests_at_the_same_moment_make_one_job(tmp_path: Path) -> None:
    async with gateway(tmp_path, AT_ONCE) as server:
        answers = await asyncio.gather(*(send(server) for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        await server.job_when(answers[0].json()["jobId"], "completed")
        assert await server.total() == server.simulator.creations == 1


async def test_another_body_is_422(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        await send(server)
        for change in ({"script": "A dog"}, {"prompt": "Slowly"}, {"model": "other"}):
            reply = await send(server, json=BODY | change)
            assert reply.refusal == (422, "idempotency_key_reused", None)
            assert "new key" in reply.json()["error"]
        assert await server.total() == 1


async def test_what_means_the_same_is_the_same_body(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        first = await send(server)
        same = [
            await send(server, json=dict(reversed(BODY.items()))),
            await send(server, json=BODY | {"seconds": 1}),
            await send(server, json=BODY | {"renderVersion": "v3"}),
            await send(server, json=BODY | {"webhookUrl": None}),
        ]
        assert {reply.body for reply in same} == {first.body}


async def test_another_key_makes_another_job(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        assert (await send(server, "k1")).body != (await send(server, "k2")).body
        assert await server.total() == 2


async def test_keys_belong_to_who_brings_them(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        one, other = [
            await send(server, headers={"Authorization": f"Bearer {who}"}) for who in ("a", "b")
        ]
        assert one.status == other.status == 200
        assert one.json()["jobId"] != other.json()["jobId"]


async def test_the_holder_is_the_key_however_its_header_is_spelled(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key="secret-key") as server:
        one, other = [
            await send(server, headers={"Authorization": spelled})
            for spelled in ("Bearer secret-key", "bearer  secret-key")
        ]
        assert (one.status, one.body) == (200, other.body)


async def test_another_api_key_makes_no_other_client(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key="one", headers={"Authorization": "Bearer one"}) as server:
        first = await send(server)
    async with gateway(tmp_path, api_key="two", headers={"Authorization": "Bearer two"}) as server:
        again = await send(server)
        assert (again.status, again.body) == (200, first.body)
        assert (await send(server, json=BODY | {"script": "A dog"})).status == 422
        assert await server.total() == 1


@pytest.mark.parametrize("before", ["one", ""])
async def test_a_key_of_an_earlier_version_still_replays(tmp_path: Path, before: str) -> None:
    """It was kept under a fingerprint of the API key, or of none."""
    async with gateway(tmp_path, api_key="one", headers={"Authorization": "Bearer one"}) as server:
        first = await send(server)
    holder = sha256(before.encode()).hexdigest()[:32]
    with closing(apsw.Connection(str(tmp_path / "reelhook.db"))) as database:
        database.execute("UPDATE idempotency_keys SET holder = ?", (holder,))
    for key in ("one", "two"):
        bearer = {"Authorization": f"Bearer {key}"}
        async with gateway(tmp_path, api_key=key, headers=bearer) as server:
            assert (await send(server)).body == first.body
            assert await server.total() == 1


FULL_BODY = {
    "script": "A fox",
    "prompt": "Slowly",
    "walletAddress": "0xabc",
    "renderVersion": "v3",
    "model": "sora-2",
    "seconds": "4",
    "size": "1280x720",
    "webhookUrl": "https://client.example/hook",
    "aspectRatio": "16:9",
    "image": "data:image/png;base64,iVBORw0KGgo=",
    "seed": 7,
    "providerOptions": {"fps": 24, "a": {"b": [1, None]}},
    "fallbacks": ["openai/sora-2-pro"],
}
KEPT = [
    (BODY, "d92e92591790cec269448a1fe6c23cf441f9acad0f1dd2cf78b60e05f779504e"),
    (FULL_BODY, "5b82dfbb1bad19d154ede303ed3b5fdafc1aaf960744b012b25da4d63524791b"),
    (
        {"script": "A fox", "providerOptions": {}},
        "d48a3ab016f34252d94d6f53c28aca28edb0667fab553b29239bf4b15ad915e1",
    ),
]
"""Bodies, each with the fingerprint that the version before the neutral request kept."""


@pytest.mark.parametrize(("body", "kept"), KEPT, ids=["few fields", "all fields", "no options"])
async def test_a_body_whose_fingerprint_an_earlier_version_kept_still_replays(
    tmp_path: Path, body: dict[str, Any], kept: str
) -> None:
    async with gateway(tmp_path) as server:
        first = await send(server, json={"script": "Another body"})
    with closing(apsw.Connection(str(tmp_path / "reelhook.db"))) as database:
        database.execute("UPDATE idempotency_keys SET fingerprint = ?", (kept,))
    async with gateway(tmp_path) as server:
        again = await send(server, json=body)
        assert (again.status, again.json()["jobId"]) == (200, first.json()["jobId"])
        assert await server.total() == 1


async def test_a_key_outlives_the_api_key_that_it_was_sent_with(tmp_path: Path) -> None:
    async with gateway(tmp_path, api_key="one", headers={"Authorization": "Bearer one"}) as server:
        first = await send(server)
    async with gateway(tmp_path) as server:
        assert (await send(server)).body == first.body


async def test_a_restart_forgets_no_key(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        first = await send(server)
    async with gateway(tmp_path) as server:
        assert (await send(server)).body == first.body


async def test_a_refused_request_does_not_use_its_key_up(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        assert (await send(server, json=BODY | {"script": ""})).status == 400
        assert (await send(server)).status == 200


async def test_a_key_has_1_to_255_characters(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        for key in ("", "x" * 256):
            assert (await send(server, key)).refusal == (400, "invalid_request", "idempotency-key")
        assert (await send(server, "x" * 255)).status == 200
