"""No response makes the adapter raise anything but provider errors."""

import asyncio
import json
from collections.abc import Iterator
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.upstreams import Upstream, upstream
from reelhook.domain.errors import ContentMissingError, ProviderError
from reelhook.domain.report import (
    Accepted,
    Failed,
    Finished,
    InDoubt,
    Page,
    RateLimited,
    Reading,
    Refused,
)
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.retry_after import poll_after_seconds, retry_after_seconds
from reelhook.providers.openai.provider import OpenAI

REQUEST = VideoRequest(prompt="A fox", model="m")
STATUSES = [200, 200, 201, 204, 302, 400, 401, 403, 404, 405, 409, 415, 422, 429, 500, 501, 503]

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats()
    | st.text(st.characters())  # lone surrogates too
    | st.sampled_from(["completed", "failed", "queued", "in_progress", "http://h/", "inf", "nan"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
VIDEO_NAMES = ["id", "object", "status", "progress", "created_at", "expires_at", "prompt", "model"]
MORE_NAMES = ["seconds", "size", "error", "url", "outputs", "video_url", "data", "has_more"]
ERROR_NAMES = ["detail", "message", "code", "type", "loc", "msg"]
NAMES = VIDEO_NAMES + MORE_NAMES + ERROR_NAMES


def _shaped(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.dictionaries(st.sampled_from(NAMES), inner | anything, max_size=8)


video = _shaped(_shaped(anything) | st.lists(_shaped(anything), max_size=3))
listing = st.fixed_dictionaries({"data": st.lists(video | anything, max_size=4)}) | video
bodies = (anything | video | listing).map(lambda body: json.dumps(body).encode())


class Rig:
    """One server and one adapter for all examples."""

    def __init__(self, runner: asyncio.Runner, server: Upstream, wire: OpenAI) -> None:
        self._runner = runner
        self._server = server
        self._wire = wire

    def check(self, status: int, body: bytes, retry_after: str | None = None) -> None:
        headers = {"Retry-After": retry_after} if retry_after else {}
        if 300 <= status < 400:
            headers["Location"] = f"{self._server.url}/elsewhere"
        self._server.answers(status, text=body, headers=headers)
        self._runner.run(self._check())

    async def _check(self) -> None:
        self._server.seen.clear()
        outcome = await self._wire.submit(REQUEST)
        assert isinstance(outcome, Accepted | RateLimited | Refused | InDoubt)
        assert self._server.posts in {1, 2}
        assert self._server.posts == 1 or isinstance(outcome, Refused)
        for call in (self._wire.get("v"), self._wire.page(None, 5), self._wire.page("v", 5)):
            try:
                result = await call
            except ProviderError as error:
                error.message.encode()
                continue
            assert isinstance(result, Reading | Page)
            reports = (
                [result.report]
                if isinstance(result, Reading)
                else [entry.report for entry in result.entries]
            )
            for report in reports:
                match report:
                    case Finished(url=url, expires_at=expires_at):
                        assert url.startswith("http")
                        assert expires_at is None or 0 <= expires_at < 2**63
                    case Failed(code=code, message=message):
                        assert code
                        assert message.encode()
        try:
            async with self._wire.content("v", "", None):
                pass
        except (ProviderError, ContentMissingError):
            pass


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with asyncio.Runner() as runner:
        manager = upstream()
        server = runner.run(manager.__aenter__())

        async def make() -> OpenAI:
            return OpenAI(server.url, "sk-test")

        wire = runner.run(make())
        yield Rig(runner, server, wire)
        runner.run(wire.close())
        runner.run(manager.__aexit__(None, None, None))


@given(status=st.sampled_from(STATUSES), body=bodies)
@pytest.mark.long
def test_no_json_breaks_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)


@given(status=st.sampled_from(STATUSES), body=st.binary(max_size=200))
def test_no_bytes_break_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 20_000, b'{"id": ' + b"9" * 5000])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_pathological_json_breaks_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)


@pytest.mark.parametrize("depth", range(800, 1010, 15))
def test_no_depth_of_nesting_breaks_the_adapter(rig: Rig, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    for shape in (b'{"detail": %s}', b'{"error": {"message": %s, "msg": %s}}', b'{"data": %s}'):
        body = shape.replace(b"%s", nested)
        rig.check(400, body)
        rig.check(200, b'{"status": "failed", "id": "v", "error": %s}' % body)


@given(st.text() | st.datetimes().map(format_datetime) | st.integers().map(str))
def test_no_wait_is_negative_or_longer_than_a_day(text: str) -> None:
    wait = retry_after_seconds({"Retry-After": text}, 1_700_000_000.0)
    assert wait is None or 0 <= wait <= 86400
    assert 0 <= poll_after_seconds({"openai-poll-after-ms": text}) <= 3600
