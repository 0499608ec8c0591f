"""No response and no webhook makes the fal adapter raise anything but our errors."""

import asyncio
from collections.abc import Iterator, Mapping

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from providers.robustness import STATUSES, bodies
from providers.upstreams import Upstream, upstream
from reelhook.domain.errors import ContentMissingError, ProviderError, WebhookVerificationError
from reelhook.domain.report import Accepted, Failed, Finished, InDoubt, RateLimited, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.fal.provider import Fal

NAMES = [
    *("request_id", "gateway_request_id", "status", "error", "error_type", "detail", "type", "msg"),
    *("video", "videos", "output", "data", "result", "url", "video_url", "loc", "keys", "x"),
]
WORDS = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "content_policy_violation", "bad_request"]
ONE = "fal-ai/veo2/requests/r-1"
SIGNED = ("Request-Id", "User-Id", "Timestamp", "Signature")


class Rig:
    """One server and one adapter for all examples."""

    def __init__(self, runner: asyncio.Runner, server: Upstream, fal: Fal) -> None:
        self._runner = runner
        self._server = server
        self._fal = fal

    def check(self, status: int, body: bytes, *, completed: bool = False) -> None:
        """Answer everything so; `completed`: but that the request is through."""

        async def response(request: web.Request) -> web.StreamResponse:
            if completed and request.path.endswith("/status"):
                return web.json_response({"status": "COMPLETED"})
            return web.Response(status=status, body=body)

        self._server.respond = response
        self._runner.run(self._check())

    async def _check(self) -> None:
        self._server.seen.clear()
        outcome = await self._fal.submit(VideoRequest(prompt="A fox", model="fal-ai/veo2"))
        assert isinstance(outcome, Accepted | RateLimited | Refused | InDoubt)
        assert self._server.posts == 1
        try:
            if isinstance(outcome, Accepted):
                await self._fal.get(outcome.provider_job_id)
            match (await self._fal.get(ONE)).report:
                case Finished(url=url):
                    assert url.startswith("http")
                case Failed(code=code, message=message):
                    assert code
                    assert message.encode()
        except ProviderError as error:
            error.message.encode()
        try:
            async with self._fal.content(ONE, f"{self._server.url}/v.mp4", None):
                pass
        except (ProviderError, ContentMissingError):
            pass

    def call(self, headers: Mapping[str, str], body: bytes) -> None:
        with pytest.raises(WebhookVerificationError):
            self._runner.run(self._fal.notice(headers, body))


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with asyncio.Runner() as runner:
        manager = upstream()
        server = runner.run(manager.__aenter__())

        async def make() -> Fal:
            return Fal(server.url, "key")

        fal = runner.run(make())
        yield Rig(runner, server, fal)
        runner.run(fal.close())
        runner.run(manager.__aexit__(None, None, None))


@given(status=st.sampled_from(STATUSES), body=bodies(NAMES, WORDS), completed=st.booleans())
@pytest.mark.long
def test_no_json_breaks_the_adapter(rig: Rig, status: int, body: bytes, completed: bool) -> None:
    rig.check(status, body, completed=completed)


@given(status=st.sampled_from(STATUSES), body=st.binary(max_size=200), completed=st.booleans())
def test_no_bytes_break_the_adapter(rig: Rig, status: int, body: bytes, completed: bool) -> None:
    rig.check(status, body, completed=completed)


@given(
    values=st.lists(
        st.text(st.characters(max_codepoint=255))
        | st.integers().map(str)
        | st.integers(10**300, 10**400).map(str)
        | st.binary().map(bytes.hex),
        max_size=4,
    ),
    body=bodies(NAMES, WORDS),
)
def test_no_call_that_is_not_signed_is_believed(rig: Rig, values: list[str], body: bytes) -> None:
    named = zip(SIGNED, values, strict=False)
    rig.call({f"X-Fal-Webhook-{name}": value for name, value in named}, body)
