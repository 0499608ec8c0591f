"""A worker that lost its right to pay while connecting sends no byte of the paid request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from providers.upstreams import Raw, Upstream, raw_upstream
from reelhook.domain.report import Accepted, NotSent
from reelhook.domain.request import VideoRequest
from reelhook.engine.leases import Leases
from reelhook.ports import Lease
from reelhook.providers.openai.provider import OpenAI

REQUEST = VideoRequest(prompt="A fox", model="sora-2")
QUEUED = {"id": "video_1", "object": "video", "status": "queued", "progress": 0}
LEASE = Lease("account:openai", 3)


class Clock:
    """Seconds of a clock that goes on while the process is suspended."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def held(clock: Clock, seconds: float = 2.4) -> Leases:
    leases = Leases(clock)
    leases.keep([LEASE.id], [LEASE], clock() + seconds)
    return leases


@asynccontextmanager
async def listening_upstream() -> AsyncIterator[tuple[Raw, list[bytes]]]:
    """A server that keeps every byte that reaches it."""
    received: list[bytes] = []

    async def listen(_: Raw, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            received.append(piece)

    async with raw_upstream(listen) as raw:
        yield raw, received


async def test_a_right_that_is_gone_once_the_connection_stands_sends_nothing() -> None:
    async with listening_upstream() as (raw, received), OpenAI(raw.url) as wire:
        outcome = await wire.submit(REQUEST, lambda: False)
        assert isinstance(outcome, NotSent)
        assert raw.connections == 1
    assert received == []


async def test_the_right_is_asked_for_once_and_when_the_connection_stands(server: Upstream) -> None:
    asked = []

    def may_send() -> bool:
        asked.append(len(server.seen))
        return True

    server.answers(200, QUEUED)
    async with OpenAI(server.url) as wire:
        assert isinstance(await wire.submit(REQUEST, may_send), Accepted)
    assert asked == [0]
    assert server.posts == 1


async def test_a_second_form_of_the_request_asks_anew(server: Upstream) -> None:
    """A server that takes only forms refuses the first request, and the lease runs out then."""
    rights = [True, False]
    missing = {"detail": [{"type": "missing", "loc": ["body", "prompt"], "msg": "Field required"}]}
    server.answers(422, missing)
    async with OpenAI(server.url) as wire:
        assert isinstance(await wire.submit(REQUEST, lambda: rights.pop(0)), NotSent)
    assert server.posts == 1


async def test_a_process_that_was_suspended_while_it_connected_sends_nothing() -> None:
    clock = Clock()
    leases = held(clock)

    def may_send() -> bool:
        clock.seconds += 3.0  # it was frozen just before, as long as its lease lasts
        return leases.good(LEASE)

    async with listening_upstream() as (raw, received), OpenAI(raw.url) as wire:
        assert isinstance(await wire.submit(REQUEST, may_send), NotSent)
    assert received == []


async def test_a_lease_that_another_took_meanwhile_pays_for_nothing() -> None:
    clock = Clock()
    leases = held(clock)
    leases.keep([LEASE.id], [Lease(LEASE.id, LEASE.epoch + 2)], clock() + 2.4)
    async with listening_upstream() as (raw, received), OpenAI(raw.url) as wire:
        assert isinstance(await wire.submit(REQUEST, lambda: leases.good(LEASE)), NotSent)
    assert received == []


async def test_a_lease_that_is_good_pays(server: Upstream) -> None:
    clock = Clock()
    leases = held(clock)
    server.answers(200, QUEUED)
    async with OpenAI(server.url) as wire:
        outcome = await wire.submit(REQUEST, lambda: leases.good(LEASE))
    assert isinstance(outcome, Accepted)
