"""No response makes the Replicate adapter raise anything but provider errors."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.robustness import STATUSES, bodies
from providers.upstreams import Upstream, upstream
from reelhook.domain.errors import ProviderError
from reelhook.domain.report import Accepted, InDoubt, Page, RateLimited, Reading, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.replicate.provider import Replicate

REQUEST = VideoRequest(prompt="A fox", model="google/veo-3-fast")
NAMES = ["id", "status", "output", "error", "logs", "input", "prompt", "duration", "model"]
NAMES += ["version", "created_at", "completed_at", "results", "next", "data_removed", "detail"]
NAMES += ["key", "username", "metrics", "urls"]
WORDS = ["starting", "processing", "succeeded", "failed", "canceled", "aborted"]
WORDS += ["2026-11-20T12:00:00Z", "9999-12-31T23:59:59.999999Z", "50%|x| 1/2", "hidden"]
anything = bodies(NAMES, WORDS)


class Rig:
    """One server and one adapter for all examples."""

    def __init__(self, runner: asyncio.Runner, server: Upstream, replicate: Replicate) -> None:
        self._runner = runner
        self._server = server
        self._replicate = replicate

    def check(self, status: int, body: bytes) -> None:
        self._server.answers(status, text=body)
        self._runner.run(self._check())

    async def _check(self) -> None:
        self._server.seen.clear()
        replicate = self._replicate
        outcome = await replicate.submit(REQUEST)
        assert isinstance(outcome, Accepted | RateLimited | Refused | InDoubt)
        assert self._server.posts == 1
        for call in (
            replicate.get("p1"),
            replicate.page(None, 100),
            replicate.page("p1", 100),
            replicate.cancel("p1"),
            replicate.check(),
        ):
            try:
                result = await call
            except ProviderError as error:
                error.message.encode()
                continue
            if isinstance(result, Page):
                for one in result.entries:
                    assert one.created_at is None or 0 <= one.created_at < 2**63
            assert isinstance(result, Reading | Page | bool | str)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with asyncio.Runner() as runner:
        manager = upstream()
        server = runner.run(manager.__aenter__())

        async def make() -> Replicate:
            replicate = Replicate(f"{server.url}/v1", "r8_key")
            replicate._rate_limiter = type(replicate._rate_limiter)(None)
            return replicate

        replicate = runner.run(make())
        yield Rig(runner, server, replicate)
        runner.run(replicate.close())
        runner.run(manager.__aexit__(None, None, None))


@given(status=st.sampled_from(STATUSES), body=anything)
@pytest.mark.long
def test_no_json_breaks_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)


@given(lines=st.lists(anything, max_size=4))
def test_no_line_of_the_listing_breaks_the_adapter(rig: Rig, lines: list[bytes]) -> None:
    rig.check(200, b'{"next": null, "results": [' + b",".join(lines) + b"]}")


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"output":' * 20_000, b'{"id": ' + b"9" * 5000])
@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_no_pathological_json_breaks_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)


@pytest.mark.parametrize("depth", [5, 50, 400, 900])
def test_no_depth_of_an_output_breaks_the_adapter(rig: Rig, depth: int) -> None:
    nested = b"[" * depth + b'"http://h/v.mp4"' + b"]" * depth
    rig.check(200, b'{"id": "p1", "status": "succeeded", "output": %s}' % nested)
    rig.check(200, b'{"id": "p1", "status": "failed", "error": %s}' % nested)
