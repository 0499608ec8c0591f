"""The simulator's fal wire, as our adapter and the official client meet it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import fal_client
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from simulated import running

from reelhook.domain.errors import ProviderUnauthorizedError, WebhookVerificationError
from reelhook.domain.report import (
    Accepted,
    Failed,
    Finished,
    InDoubt,
    Notice,
    Progress,
    RateLimited,
    Refused,
)
from reelhook.domain.request import VideoRequest
from reelhook.providers.fal.provider import Fal
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator

APP = "fal-ai/veo3/fast"
REQUEST = VideoRequest(prompt="A fox", model=APP, seconds="4", aspect_ratio="16:9")


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
async def simulator(clock: Hand) -> AsyncIterator[RunningSimulator]:
    faults = Faults(queue_seconds=1, render_seconds=9)
    async with running(faults, random=Random(1), clock=clock, api_key="key") as server:
        yield server


@pytest.fixture
async def fal(simulator: RunningSimulator, clock: Hand) -> AsyncIterator[Fal]:
    async with Fal(f"{simulator.root_url}/fal", "key", now=clock) as one:
        yield one


async def _job(fal: Fal, request: VideoRequest = REQUEST, hook: str | None = None) -> str:
    outcome = await fal.submit(request, callback_url=hook)
    assert isinstance(outcome, Accepted), outcome
    return outcome.provider_job_id


async def test_a_request_goes_from_the_queue_to_its_video(fal: Fal, clock: Hand) -> None:
    one = await _job(fal)
    assert (await fal.get(one)).report == Progress(running=False)
    clock.seconds += 5
    assert (await fal.get(one)).report == Progress(running=True)
    clock.seconds += 6
    report = (await fal.get(one)).report
    assert isinstance(report, Finished)
    async with fal.content(one, report.url, None) as content:
        video = b"".join([chunk async for chunk in content.chunks])
    assert content.headers["content-type"] == "video/mp4"
    assert video[4:8] == b"ftyp"


async def test_what_is_against_the_rules_fails_as_moderated(clock: Hand) -> None:
    async with (
        running(Faults(moderation=1.0), random=Random(1), clock=clock) as simulator,
        Fal(f"{simulator.root_url}/fal", "key") as fal,
    ):
        one = await _job(fal)
        clock.seconds += 60
        report = (await fal.get(one)).report
    assert isinstance(report, Failed)
    assert report.code == "moderation"


async def test_a_running_request_is_canceled_and_a_finished_one_is_not(
    fal: Fal, clock: Hand
) -> None:
    one, other = await _job(fal), await _job(fal)
    assert await fal.cancel(one)
    clock.seconds += 60
    assert not await fal.cancel(other)


async def test_a_wrong_key_is_told(simulator: RunningSimulator) -> None:
    async with Fal(f"{simulator.root_url}/fal", "wrong") as stranger:
        outcome = await stranger.submit(REQUEST)
        assert isinstance(outcome, Refused)
        assert outcome.unauthorized
        with pytest.raises(ProviderUnauthorizedError):
            await stranger.check()


@pytest.mark.parametrize(
    ("faults", "kind"),
    [(Faults(rate_limited=1.0), RateLimited), (Faults(lost_create=1.0), InDoubt)],
)
async def test_faults_are_told_as_what_they_are(faults: Faults, kind: type) -> None:
    async with (
        running(faults, random=Random(1)) as simulator,
        Fal(f"{simulator.root_url}/fal", "key") as fal,
    ):
        assert isinstance(await fal.submit(REQUEST), kind)


async def test_the_official_client_goes_through_it(
    simulator: RunningSimulator, clock: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fal_client.client, "QUEUE_URL_FORMAT", f"{simulator.root_url}/fal/")
    client = fal_client.AsyncClient(key="key")
    handle = await client.submit(APP, {"prompt": "A fox", "duration": "4s"})
    assert isinstance(await handle.status(), fal_client.Queued)
    clock.seconds += 5
    assert isinstance(await handle.status(with_logs=True), fal_client.InProgress)
    clock.seconds += 60
    assert isinstance(await handle.status(), fal_client.Completed)
    result = await handle.get()
    assert httpx.URL(result["video"]["url"]).path.endswith("/video.mp4")
    await (await client._client).aclose()


# -- webhooks ---------------------------------------------------------------------------------


@pytest.fixture
async def received() -> AsyncIterator[tuple[str, asyncio.Queue[tuple[dict[str, str], bytes]]]]:
    calls: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        calls.put_nowait((dict(request.headers), await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app) as server:
        yield str(server.make_url("/hook")), calls


async def test_a_webhook_is_verified_by_the_published_key(
    fal: Fal, clock: Hand, received: tuple[str, Any]
) -> None:
    hook, calls = received
    one = await _job(fal, hook=hook)
    clock.seconds += 60
    headers, body = await asyncio.wait_for(calls.get(), 60)
    notice = await fal.notice(headers, body)
    assert fal.id_of(notice.provider_job_id, APP) == one
    assert await fal.notice(headers, body) == Notice(one.rpartition("/")[2])  # twice is no harm

    lower = {name.lower(): value for name, value in headers.items()}
    forged = dict(headers, **{"X-Fal-Webhook-Signature": "00" * 64})
    for wrong, content in (
        (forged, body),
        (headers, body + b" "),
        (dict(headers, **{"X-Fal-Webhook-Request-Id": "fal-other"}), body),
        ({}, body),
        (dict(headers, **{"X-Fal-Webhook-Signature": "not hex"}), body),
        (dict(headers, **{"X-Fal-Webhook-Timestamp": "soon"}), body),
        (dict(headers, **{"X-Fal-Webhook-Timestamp": "9" * 400}), body),
    ):
        with pytest.raises(WebhookVerificationError):
            await fal.notice(wrong, content)
    clock.seconds += 301
    with pytest.raises(WebhookVerificationError, match="301 s off"):
        await fal.notice(headers, body)
    assert len(hashlib.sha256(body).hexdigest()) == 64
    assert "x-fal-webhook-signature" in lower


async def test_keys_are_asked_for_at_most_once_a_minute(
    fal: Fal, simulator: RunningSimulator, clock: Hand
) -> None:
    asked = 0
    original = fal.http._request  # the session's one door

    async def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        return await original(*arguments, **named)

    fal.http._request = counted  # type: ignore[method-assign] # counts what goes out
    headers = {
        "X-Fal-Webhook-Request-Id": "fal-1",
        "X-Fal-Webhook-User-Id": "u",
        "X-Fal-Webhook-Timestamp": str(int(clock.seconds)),
        "X-Fal-Webhook-Signature": "00" * 64,
    }
    for _ in range(5):
        with pytest.raises(WebhookVerificationError):
            await fal.notice(headers, b"{}")
    assert asked == 1
