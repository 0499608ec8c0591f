"""Parts with a known fault each: a harness that lets one of them pass is worth nothing."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from random import SystemRandom
from typing import Any

from bench.crash.failpoints import CrashingStore
from reelhook.core.signing import Signing
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.event import Instant
from reelhook.ports import Change, Lease, Sender, SignedRequest

LATE_SECONDS = 0.01


class Fault(StrEnum):
    """What is wrong with the worker."""

    EARLY_RECORD = "early-record"
    """An attempt is recorded as answered before it is sent."""
    EARLY_ACK = "early-ack"
    """An event is told to be durable before it is written."""
    NEW_ID = "new-id"
    """Every attempt has a `webhook-id` of its own."""
    NEW_BODY = "new-body"
    """Every attempt has another body, rightly signed."""
    TWICE = "twice"
    """Now and then a request is sent a second time, unrecorded."""


class EarlySender:
    """Tells of success at once, and sends later."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._under_way: set[asyncio.Task[None]] = set()

    async def send(self, request: SignedRequest) -> WebhookResponse:
        self._under_way.add(asyncio.create_task(self._send(request)))
        return WebhookResponse(duration_ms=0, status=200)

    async def _send(self, request: SignedRequest) -> None:
        await asyncio.sleep(LATE_SECONDS)
        await self._sender.send(request)


class TwiceSender:
    """Sends every fourth request twice."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._sent = 0

    async def send(self, request: SignedRequest) -> WebhookResponse:
        self._sent += 1
        if self._sent % 4 == 0:
            await self._sender.send(request)
        return await self._sender.send(request)


class EarlyStore(CrashingStore):
    """Tells that events are durable at once, and writes them later."""

    _under_way: set[asyncio.Task[list[str]]]

    async def record(self, changes: Sequence[Change], lease: Lease | None) -> list[str]:
        async def late() -> list[str]:
            await asyncio.sleep(LATE_SECONDS)
            return await CrashingStore.record(self, changes, lease)

        self._under_way = getattr(self, "_under_way", set())
        self._under_way.add(asyncio.create_task(late()))
        return [one.job.id for one in changes]


class NewIdSigning(Signing):
    """Makes a `webhook-id` for each attempt."""

    def request(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        message_id: str,
        now: Instant,
        **more: Any,
    ) -> SignedRequest:
        return Signing.request(
            self,
            endpoint,
            body,
            message_id=f"{message_id}_{SystemRandom().getrandbits(32)}",
            now=now,
            **more,
        )


class NewBodySigning(Signing):
    """Adds a line's end to the body in half of the attempts."""

    def request(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        message_id: str,
        now: Instant,
        **more: Any,
    ) -> SignedRequest:
        return Signing.request(
            self,
            endpoint,
            body + b"\n" * (now % 2),
            message_id=message_id,
            now=now,
            **more,
        )


def sender(fault: Fault | None, sound: Sender) -> Sender:
    match fault:
        case Fault.EARLY_RECORD:
            return EarlySender(sound)
        case Fault.TWICE:
            return TwiceSender(sound)
        case _:
            return sound


def store(fault: Fault | None) -> type[CrashingStore]:
    return EarlyStore if fault is Fault.EARLY_ACK else CrashingStore


def signing(fault: Fault | None) -> type[Signing]:
    match fault:
        case Fault.NEW_ID:
            return NewIdSigning
        case Fault.NEW_BODY:
            return NewBodySigning
        case _:
            return Signing
