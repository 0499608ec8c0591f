"""No response makes the Ark adapter raise anything but provider errors."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.robustness import STATUSES, bodies
from providers.upstreams import Upstream, upstream
from reelhook.domain.errors import ContentMissingError, ProviderError, WebhookVerificationError
from reelhook.domain.report import Accepted, Failed, Finished, InDoubt, RateLimited, Refused, Report
from reelhook.domain.request import VideoRequest
from reelhook.providers.ark.provider import Ark

NAMES = [
    *("id", "model", "status", "content", "video_url", "usage", "total_tokens"),
    *("completion_tokens", "created_at", "updated_at", "duration", "error", "code", "message"),
    *("items", "total"),
]
WORDS = ["queued", "running", "succeeded", "failed", "cancelled", "expired", "cgt-1"]


class Rig:
    """One server and one adapter for all examples."""

    def __init__(self, runner: asyncio.Runner, server: Upstream, ark: Ark) -> None:
        self._runner = runner
        self._server = server
        self._ark = ark

    def check(self, status: int, body: bytes) -> None:
        self._server.answers(status, text=body)
        self._runner.run(self._check(body))

    async def _check(self, body: bytes) -> None:
        self._server.seen.clear()
        outcome = await self._ark.submit(VideoRequest(prompt="A fox", model="m"))
        assert isinstance(outcome, Accepted | RateLimited | Refused | InDoubt)
        assert self._server.posts == 1
        reports: list[Report] = []
        try:
            reports.append((await self._ark.get("cgt-1")).report)
        except ProviderError as error:
            error.message.encode()
        try:
            many = [f"cgt-{number}" for number in range(600)]
            reports += [one.report for one in (await self._ark.get_many(many)).values()]
        except ProviderError as error:
            error.message.encode()
        try:
            page = await self._ark.page(None, 500)
            reports += [entry.report for entry in page.entries]
            if page.entries:
                await self._ark.page(page.entries[-1].provider_job_id, 500)
        except ProviderError as error:
            error.message.encode()
        for report in reports:
            _check_report(report)
        try:
            await self._ark.cancel("cgt-1")
            await self._ark.check()
        except ProviderError:
            pass
        with suppress(WebhookVerificationError):
            await self._ark.notice({}, body)
        try:
            async with self._ark.content("cgt-1", f"{self._server.url}/v.mp4", None):
                pass
        except (ProviderError, ContentMissingError):
            pass


def _check_report(report: Report) -> None:
    match report:
        case Finished(url=url, expires_at=expires_at, cost=cost):
            assert url.startswith("http")
            assert expires_at is None or 0 <= expires_at < 2**63
            assert cost is None or cost.amount >= 0
        case Failed(code=code, message=message):
            assert code
            assert message.encode()


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with asyncio.Runner() as runner:
        manager = upstream()
        server = runner.run(manager.__aenter__())

        async def make() -> Ark:
            return Ark(server.url, "key")

        ark = runner.run(make())
        yield Rig(runner, server, ark)
        runner.run(ark.close())
        runner.run(manager.__aexit__(None, None, None))


@given(status=st.sampled_from(STATUSES), body=bodies(NAMES, WORDS))
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
