"""No response makes the Runway adapter raise anything but provider errors."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.robustness import STATUSES, bodies
from providers.upstreams import Upstream, upstream
from reelhook.domain.errors import ContentMissingError, ProviderError
from reelhook.domain.report import Accepted, Failed, InDoubt, RateLimited, Reading, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.runway.provider import Runway

REQUEST = VideoRequest(prompt="A fox", model="gen4.5")
NAMES = ["id", "status", "output", "failure", "failureCode", "progress", "cost", "credits"]
NAMES += ["estimatedCost", "createdAt", "error", "creditBalance"]
WORDS = ["PENDING", "THROTTLED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
WORDS += ["SAFETY.INPUT.TEXT", "ASSET.INVALID", "."]
anything = bodies(NAMES, WORDS)


class Rig:
    """One server and one adapter for all examples."""

    def __init__(self, runner: asyncio.Runner, server: Upstream, runway: Runway) -> None:
        self._runner = runner
        self._server = server
        self._runway = runway

    def check(self, status: int, body: bytes) -> None:
        self._server.answers(status, text=body)
        self._runner.run(self._check())

    async def _check(self) -> None:
        self._server.seen.clear()
        runway = self._runway
        outcome = await runway.submit(REQUEST)
        assert isinstance(outcome, Accepted | RateLimited | Refused | InDoubt)
        assert self._server.posts == 1
        for call in (runway.get("t1"), runway.cancel("t1"), runway.check()):
            try:
                result = await call
            except ProviderError as error:
                error.message.encode()
                continue
            if isinstance(result, Reading) and isinstance(result.report, Failed):
                assert result.report.code
                assert result.report.message.encode()
        try:
            async with runway.content("t1", "", None):
                pass
        except (ProviderError, ContentMissingError):
            pass


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with asyncio.Runner() as runner:
        manager = upstream()
        server = runner.run(manager.__aenter__())

        async def make() -> Runway:
            return Runway(f"{server.url}/v1", "key_1")

        runway = runner.run(make())
        yield Rig(runner, server, runway)
        runner.run(runway.close())
        runner.run(manager.__aexit__(None, None, None))


@given(status=st.sampled_from(STATUSES), body=anything)
@pytest.mark.long
def test_no_json_breaks_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)


DEEP = [b"[" * 200_000, b'{"output":' * 20_000, b'{"id": ' + b"9" * 5000]


@pytest.mark.parametrize("body", DEEP)
@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_no_pathological_json_breaks_the_adapter(rig: Rig, status: int, body: bytes) -> None:
    rig.check(status, body)
