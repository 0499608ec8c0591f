"""The rule of every adapter: a paid request is sent once, and doubt is reported as doubt.

Subclass `PaysOnce` and give it `provider` and `request_`; pytest collects the rest.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Protocol, Self

import pytest
from loop_clock import jump

from providers.upstreams import Raw, raw_upstream, reset, unused_port
from reelhook.domain.report import InDoubt, NotSent, RateLimited, Refused, SubmitOutcome
from reelhook.domain.request import VideoRequest

SUBMIT_SECONDS = 60.0  # longer than a response takes on any machine, however busy it is
Behaviour = Callable[[Raw, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(status: int, body: object = None, **headers: str) -> Behaviour:
    """Answer every request so."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def behaviour(
        raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await raw.read_request(reader)
        lines = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(content)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        await writer.drain()

    return behaviour


async def accepts_and_drops(
    raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await raw.read_request(reader)


async def accepts_and_resets(
    raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await raw.read_request(reader)
    reset(writer)


async def dies_before_the_whole_request(
    raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    raw.requests.append(await reader.readuntil(b"\r\n\r\n"))
    reset(writer)


async def answers_too_late(
    raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await raw.read_request(reader)
    jump(SUBMIT_SECONDS + 1)
    await asyncio.Event().wait()


async def dies_within_its_answer(
    raw: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await raw.read_request(reader)
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"id": "job')
    await writer.drain()
    reset(writer)


IN_DOUBT: dict[str, Behaviour] = {
    "accepts and drops": accepts_and_drops,
    "accepts and resets": accepts_and_resets,
    "dies before the whole request": dies_before_the_whole_request,
    "answers too late": answers_too_late,
    "dies within its answer": dies_within_its_answer,
    "no id": answering(200, {}),
    "null id": answering(200, {"id": None, "request_id": None}),
    "no object": answering(201, ["id"]),
    "no JSON": answering(200, b"<html>"),
    "empty": answering(204, b""),
    "301": answering(301, {}, Location="/elsewhere"),
    "307": answering(307, {}, Location="/elsewhere"),
    "308": answering(308, {}, Location="/elsewhere"),
    **{str(status): answering(status, {}) for status in (408, 409, 500, 502, 503, 504, 529)},
}


class Submits(Protocol):
    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def submit(
        self, request: VideoRequest, may_send: Callable[[], bool]
    ) -> SubmitOutcome: ...


class PaysOnce(ABC):
    """Tests of one adapter."""

    @abstractmethod
    def provider(self, base: str) -> Submits:
        """Return the adapter for a server at `base`; paid requests have `SUBMIT_SECONDS`."""

    @abstractmethod
    def request_(self) -> VideoRequest:
        """Return a request that the adapter sends."""

    @pytest.mark.parametrize("named", IN_DOUBT)
    async def test_what_may_have_been_accepted_is_in_doubt_and_was_sent_once(
        self, named: str
    ) -> None:
        async with raw_upstream(IN_DOUBT[named]) as raw, self.provider(raw.url) as provider:
            outcome = await provider.submit(self.request_(), lambda: True)
            assert isinstance(outcome, InDoubt)
            assert outcome.reason
            assert (raw.connections, raw.posts) == (1, 1)

    async def test_without_a_connection_nothing_was_sent(self) -> None:
        async with self.provider(f"http://127.0.0.1:{unused_port()}") as provider:
            outcome = await provider.submit(self.request_(), lambda: True)
            assert isinstance(outcome, NotSent)
            assert not outcome.ours

    async def test_without_the_right_to_pay_nothing_is_sent(self) -> None:
        async with (
            raw_upstream(answering(200, {"id": "one"})) as raw,
            self.provider(raw.url) as provider,
        ):
            outcome = await provider.submit(self.request_(), lambda: False)
            assert isinstance(outcome, NotSent)
            assert outcome.ours
            assert raw.posts == 0

    async def test_a_429_is_tried_again_after_its_retry_after(self) -> None:
        behaviour = answering(429, {"detail": "slow down"}, Retry_After="7")
        async with raw_upstream(behaviour) as raw, self.provider(raw.url) as provider:
            outcome = await provider.submit(self.request_(), lambda: True)
            assert outcome == RateLimited(7.0, "slow down")
            assert raw.posts == 1

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "invalid_request"),
            (401, "provider_unauthorized"),
            (402, "quota"),
            (403, "provider_unauthorized"),
            (404, "invalid_request"),
            (422, "invalid_request"),
        ],
    )
    async def test_another_4xx_is_a_refusal_in_the_providers_words(
        self, status: int, code: str
    ) -> None:
        behaviour = answering(status, {"error": "these words", "detail": "these words"})
        async with raw_upstream(behaviour) as raw, self.provider(raw.url) as provider:
            outcome = await provider.submit(self.request_(), lambda: True)
            assert outcome == Refused(code, "these words", unauthorized=status in {401, 403})
            assert raw.posts == 1
