"""No response makes the xAI adapter raise anything but provider errors."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.robustness import STATUSES, bodies
from providers.upstreams import Upstream, upstream
from reelhook.domain.errors import ContentMissingError, ProviderError
from reelhook.domain.report import Accepted, Failed, Finished, InDoubt, RateLimited, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.xai.provider import XAI

NAMES = [
    *("request_id", "status", "progress", "video", "url", "respect_moderation", "usage"),
    *("cost_in_usd_ticks", "error", "code", "message", "file_output", "public_url", "models", "id"),
]
WORDS = ["pending", "done", "failed", "expired", "Incorrect API key"]


class Rig:
    """One server and one adapter for all examples."""

    def __init__(self, runner: asyncio.Runner, server: Upstream, xai: XAI) -> None:
        self._runner = runner
        self._server = server
        self._xai = xai

    def check(self, status: int, body: bytes) -> None:
        self._server.answers(status, text=body)
        self._runner.run(self._check())

    async def _check(self) -> None:
        self._server.seen.clear()
        outcome = await self._xai.submit(VideoRequest(prompt="A fox", model="m"))
        assert isinstance(outcome, Accepted | RateLimited | Refused | InDoubt)
        assert self._server.posts == 1
        try:
            match (await self._xai.get("one")).report:
                case Finished(url=url, cost=cost):
                    assert url.startswith("http")
                    assert cost is None or cost.amount >= 0
                case Failed(code=code, message=message):
                    assert code
                    assert message.encode()
        except ProviderError as error:
            error.message.encode()
        try:
            (await self._xai.check()).encode(errors="replace")
        except ProviderError as error:
            error.message.encode()
        try:
            async with self._xai.content("one", f"{self._server.url}/v.mp4", None):
                pass
        except (ProviderError, ContentMissingError):
            pass


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with asyncio.Runner() as runner:
        manager = upstream()
        server = runner.run(manager.__aenter__())

        async def make() -> XAI:
            return XAI(server.url, "key")

        xai = runner.run(make())
        yield Rig(runner, server, xai)
        runner.run(xai.close())
        runner.run(manager.__aexit__(None, None, None))


@given(status=st.sampled_from(STATUSES), body=bodies(NAMES, WORDS))
def test_no_json_breaks_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)


@given(status=st.sampled_from(STATUSES), body=st.binary(max_size=200))
def test_no_bytes_break_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 20_000, b'{"status": ' + b"9" * 5000])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_pathological_json_breaks_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)
