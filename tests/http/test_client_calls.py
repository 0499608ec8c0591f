"""Create routes for clients that repeat a create: one job per call, whatever became of a response.

The route here stands for those of the doors.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from gateways import Client, Gateway, Reply, gateway, until

from reelhook.domain.caller import Scope
from reelhook.domain.errors import StoreError
from reelhook.doors import app
from reelhook.doors.client_calls import CreateRoute, create_once, fingerprint_of
from reelhook.doors.compat.request import video_request
from reelhook.doors.context import Context, ContextOf
from reelhook.doors.policy import KeyRoute, needs
from reelhook.gateway import Created, IdempotencyKey
from reelhook.storage.sqlite.driver import connect

KEY = "a-long-random-text"
TIMEOUT = "0.2"
"""The client's, so that a response is fresh for 25 ms."""
creates = APIRouter(route_class=CreateRoute)
reads = APIRouter(route_class=KeyRoute)


@dataclass
class Held:
    """Where the route waits until its client has left, and when it has ended."""

    waits: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_gone(self, context: Context) -> None:
        self.waits.set()
        while not await context.request.is_disconnected():  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.02)


HELD = Held()


async def created_by(context: Context, body: dict[str, Any], *, counts: bool = True) -> Created:
    request = video_request(body["script"], model="sora-2", seconds="1", size="64x64")
    key = context.request.headers.get("idempotency-key")
    idempotency = IdempotencyKey("default", key, "body") if key else None
    return await create_once(
        context,
        body,
        lambda call: context.gateway.new_jobs.submit(
            context.caller, request, idempotency=idempotency, call=call
        ),
        idempotency,
        counts=counts,
    )


@creates.post("/t/videos")
@needs(Scope.SUBMIT)
async def create(context: ContextOf) -> Response:
    """Create a job. `hold` waits before or after that; `fail` refuses before or after it."""
    body = await context.request.json()
    hold, fail = body.pop("hold", None), body.pop("fail", None)
    try:
        if hold == "before":
            await HELD.until_gone(context)
        if fail == "before":
            await create_once(context, body, lambda _: _failing(), None)
        created = await created_by(context, body)
        if hold == "after":
            await HELD.until_gone(context)
        return JSONResponse({"id": created.job_id}, 503 if fail == "after" else 200)
    finally:
        HELD.ended.set()


async def _failing() -> Created:
    raise StoreError("away")


@creates.post("/t/streams")
@needs(Scope.SUBMIT)
async def stream(context: ContextOf) -> Response:
    """Create a job for a client that does not count, and keep the connection until its end."""
    body = await context.request.json()
    hold = body.pop("hold", None)
    created = await created_by(context, body, counts=False)

    async def chunks() -> AsyncIterator[str]:
        yield ": started\n"
        while hold:
            yield ": waiting\n"
            await asyncio.sleep(0.01)
        yield json.dumps({"id": created.job_id})

    return StreamingResponse(chunks(), media_type="text/event-stream")


@reads.get("/t/videos/{job_id}")
@needs(Scope.READ)
async def read(job_id: str, context: ContextOf) -> Response:
    """Use a job."""
    await context.gateway.client_calls.used(context.caller, job_id)
    return JSONResponse({"id": job_id})


@asynccontextmanager
async def served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> AsyncIterator[Gateway]:
    HELD.waits, HELD.ended = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(app, "ROUTERS", (creates, reads, *app.ROUTERS))
    async with gateway(tmp_path, **more) as server:
        yield server


async def sent(server: Client, count: int | None, *, path: str = "videos", **fields: Any) -> Reply:
    headers = fields.pop("headers", {})
    if count is not None:
        headers = {"X-Stainless-Retry-Count": str(count), **headers}
    headers = {"X-Stainless-Read-Timeout": TIMEOUT, **headers}
    body = {"script": "A fox", **fields}
    return await server.post(f"/t/{path}", json=body, headers=headers)


async def made(server: Client, count: int | None, **fields: Any) -> str:
    reply = await sent(server, count, **fields)
    assert reply.status == 200, reply.body
    return str(json.loads(reply.body.splitlines()[-1])["id"])


async def leave(server: Client, count: int | None, **fields: Any) -> None:
    """Send a request, and close its connection as soon as the route waits."""
    async with aiohttp.ClientSession() as session:
        waiting = asyncio.create_task(sent(Client(session, server.url), count, **fields))
        await HELD.waits.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


# -- retries ---------------------------------------------------------------------------------------


async def test_the_tries_of_one_call_are_one_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as server:
        first = await made(server, 0)
        assert {await made(server, count) for count in (1, 2)} == {first}
        assert await made(server, 2) != first
        assert await made(server, 1, script="A dog") != first
        assert await made(server, 0) != first


async def test_a_job_that_was_read_is_not_given_to_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as server:
        first = await made(server, 0)
        for _ in range(2):
            await server.get(f"/t/videos/{first}")
        assert await made(server, 1) != first


async def test_only_a_client_that_counts_without_a_key_is_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as server:
        first = await made(server, 0, headers={"Idempotency-Key": "one"})
        assert await made(server, 1, headers={"Idempotency-Key": "one"}) == first
        ids = {first, await made(server, 1, headers={"Idempotency-Key": "two"})}
        for count in ("-1", "1.5", "x", "²"):
            headers = {"X-Stainless-Retry-Count": count}
            ids.add(
                await made(server, None, headers={k: v for k, v in headers.items() if v.isascii()})
            )
        ids.add(await made(server, None))
        assert len(ids) == 7


# -- what became of a response ---------------------------------------------------------------------


async def test_a_broken_connection_gives_its_job_to_the_next_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as server:
        older = await made(server, 0)
        await leave(server, 0, hold="after")
        lost = await until(lambda: _lost(server))
        assert lost != older
        assert await made(server, 1) == lost
        assert await server.total() == 2


async def _lost(server: Gateway) -> str | None:
    assert isinstance(server.settings.database, Path)
    with contextlib.closing(connect(server.settings.database, read_only=True)) as database:
        row = database.execute("SELECT job_id FROM client_calls WHERE lost").fetchone()
    return row[0] if row else None


async def test_nothing_is_created_for_a_client_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as server:
        await leave(server, 0, hold="before")
        await HELD.ended.wait()
        assert (await sent(server, 0, script="A dog")).status == 200
        assert await server.total() == 1


async def test_a_refusal_of_ours_makes_the_next_retry_a_new_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as server:
        first = await made(server, 0)
        assert (await sent(server, 0, fail="before")).status == 503
        assert await made(server, 1) != first
        assert await made(server, 1) == first


async def test_an_error_after_the_job_was_stored_gives_it_to_the_next_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as server:
        assert (await sent(server, 0, fail="after")).status == 503
        assert await _lost(server) == await made(server, 1)
        assert await server.total() == 1


# -- rates -----------------------------------------------------------------------------------------


async def test_a_retry_of_a_job_is_never_refused_by_its_key_s_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearer = {"Authorization": f"Bearer {KEY}"}
    async with served(tmp_path, monkeypatch, api_key=KEY, headers=bearer) as server:
        body = {"name": "app", "scopes": ["submit"], "rates": {"requestsPerHour": 1}}
        key = (await server.post("/api/keys", json=body)).json()["key"]
        headers = {"Authorization": f"Bearer {key}"}
        first = await made(server, 0, headers=headers)
        assert await made(server, 1, headers=headers) == first
        for refused in (
            sent(server, 0, headers=headers),
            sent(server, 9, script="B", headers=headers),
        ):
            reply = await refused
            assert reply.refusal == (429, "rate_limited", None)
            assert int(reply.headers["Retry-After"]) > 1700
        assert await made(server, 2, headers=headers) == first
        assert await server.total() == 1


# -- clients without counts ------------------------------------------------------------------------


async def test_a_client_that_does_not_count_joins_only_a_broken_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as server:
        done = await made(server, None, path="streams")
        broken = asyncio.create_task(sent(server, None, path="streams", hold=True))
        await until(lambda: _stored(server, 2))
        broken.cancel()
        lost = await until(lambda: _lost(server))
        assert await made(server, None, path="streams") == lost != done
        assert await made(server, None, path="streams") not in {lost, done}
        assert await server.total() == 3


async def _stored(server: Gateway, total: int) -> bool:
    return await server.total() == total


# -- fingerprints ----------------------------------------------------------------------------------


def test_a_fingerprint_does_not_depend_on_the_order_of_fields() -> None:
    one = fingerprint_of("holder", {"a": 1, "b": {"c": [1, 2], "d": "\ud800"}})
    assert one == fingerprint_of("holder", {"b": {"d": "\ud800", "c": [1, 2]}, "a": 1})
    others = [("other", {"a": 1}), ("holder", {"a": 1}), ("holder", {"a": "1"}), ("holder", [])]
    assert len({one, *(fingerprint_of(*other) for other in others)}) == 5
