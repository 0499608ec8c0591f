"""The simulator's Replicate wire, as the official SDK and our adapter meet it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from aiohttp import ClientSession, web
from cleaning_up import clean_up
from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.webhook import Webhooks, WebhookSigningSecret
from simulated import running

from reelhook.domain.errors import ContentMissingError
from reelhook.domain.report import Accepted, Failed, Finished, Notice, Progress, RateLimited
from reelhook.domain.request import VideoRequest
from reelhook.providers.replicate.provider import Replicate
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator

MODEL = "google/veo-3-fast"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
REQUEST = VideoRequest(prompt="A fox", model=MODEL, seconds="4", aspect_ratio="16:9")


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
    async with running(
        Faults(queue_seconds=1, render_seconds=8), random=Random(1), clock=clock, api_key="r8_key"
    ) as server:
        yield server


@pytest.fixture
async def replicate(simulator: RunningSimulator, clock: Hand) -> AsyncIterator[Replicate]:
    async with Replicate(f"{simulator.root_url}/replicate/v1", "r8_key", now=clock) as one:
        yield one


@asynccontextmanager
async def sdk(simulator: RunningSimulator, key: str) -> AsyncIterator[Client]:
    client = Client(api_token=key, base_url=f"{simulator.root_url}/replicate")
    try:
        yield client
    finally:
        await client._async_client.aclose()


@pytest.fixture
async def client(simulator: RunningSimulator) -> AsyncIterator[Client]:
    async with sdk(simulator, "r8_key") as one:
        yield one


# -- the official SDK -----------------------------------------------------------------------------


async def test_the_sdk_creates_polls_lists_and_reads_progress(client: Client, clock: Hand) -> None:
    prediction = await client.models.predictions.async_create(MODEL, {"prompt": "A fox"})
    assert (prediction.status, prediction.model) == ("starting", MODEL)
    clock.seconds += 4.5
    await prediction.async_reload()
    assert prediction.status == "processing"
    assert prediction.progress is not None
    assert prediction.progress.percentage == 0.5
    clock.seconds += 4
    await prediction.async_reload()
    told: str = prediction.status
    assert told == "succeeded"
    assert str(prediction.output).endswith("/output.mp4")
    page = await client.predictions.async_list()
    assert [(one.id, one.input) for one in page] == [(prediction.id, {"prompt": "A fox"})]
    assert page.next is None


async def test_the_sdk_cancels_and_asks_by_version(client: Client) -> None:
    prediction = await client.predictions.async_create(VERSION, {"prompt": "A fox"})
    assert prediction.version == VERSION
    canceled = await client.predictions.async_cancel(prediction.id)
    assert canceled.status == "canceled"
    assert canceled.completed_at is not None


async def test_the_sdk_pages_through_the_listing(client: Client) -> None:
    made = [
        (await client.models.predictions.async_create(MODEL, {"prompt": f"Fox {number}"})).id
        for number in range(105)
    ]
    first = await client.predictions.async_list()
    assert first.next is not None
    second = await client.predictions.async_list(first.next)
    assert [one.id for one in [*first, *second]] == made[::-1]
    assert (len(first), second.next) == (100, None)


async def test_the_sdk_reads_errors_and_the_account(
    client: Client, simulator: RunningSimulator
) -> None:
    assert (await client.accounts.async_current()).username == "simulator"
    with pytest.raises(ReplicateError) as caught:
        await client.models.predictions.async_create(MODEL, {"prompt": ""})
    assert caught.value.status == 422
    assert "prompt" in str(caught.value.detail)
    async with sdk(simulator, "wrong") as stranger:
        with pytest.raises(ReplicateError) as caught:
            await stranger.predictions.async_get("x")
    assert caught.value.status == 401


# -- webhooks -------------------------------------------------------------------------------------


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, asyncio.Queue[tuple[dict[str, str], bytes]]]]:
    received: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        received.put_nowait((dict(request.headers), await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", received
    finally:
        await clean_up(runner)


async def test_webhooks_are_signed_so_that_the_sdk_and_the_adapter_believe_them(
    client: Client, replicate: Replicate, clock: Hand
) -> None:
    async with receiver() as (url, received):
        outcome = await replicate.submit(REQUEST, callback_url=url)
        assert isinstance(outcome, Accepted)
        statuses = []
        for passed in (4, 4):
            clock.seconds += passed
            headers, body = await asyncio.wait_for(received.get(), 60)
            secret = await client.webhooks.default.async_secret()
            assert isinstance(secret, WebhookSigningSecret)
            Webhooks.validate(headers=headers, body=body.decode(), secret=secret)
            assert await replicate.notice(headers, body) == Notice(outcome.provider_job_id)
            statuses.append(json.loads(body)["status"])
        assert statuses == ["processing", "succeeded"]


# -- our adapter ----------------------------------------------------------------------------------


async def test_the_adapter_takes_a_job_from_submit_to_its_video(
    replicate: Replicate, clock: Hand
) -> None:
    outcome = await replicate.submit(REQUEST)
    assert isinstance(outcome, Accepted)
    one = outcome.provider_job_id
    assert outcome.report == Progress(running=False)
    clock.seconds += 4.5
    assert (await replicate.get(one)).report == Progress(running=True, percent=50)
    assert [entry.report for entry in (await replicate.page(None, 100)).entries] == [
        Progress(running=True)
    ]
    clock.seconds += 4
    told = (await replicate.get(one)).report
    assert isinstance(told, Finished)
    assert told.expires_at == int(clock.seconds - 0.5) + 3600
    async with replicate.content(one, told.url, "bytes=4-7") as content:
        assert b"".join([chunk async for chunk in content.chunks]) == b"ftyp"
    clock.seconds += 3600
    gone = (await replicate.get(one)).report
    assert isinstance(gone, Failed)
    assert gone.code == "content_missing"
    with pytest.raises(ContentMissingError):
        async with replicate.content(one, told.url, None):
            pass
    assert await replicate.check() == "account simulator"


async def test_the_adapter_finds_a_lost_submit_in_the_listing(
    simulator: RunningSimulator, replicate: Replicate
) -> None:
    simulator.simulator.faults = Faults(lost_create=1)
    await replicate.submit(REQUEST)
    (entry,) = (await replicate.page(None, 100)).entries
    assert (entry.prompt, entry.seconds, entry.model) == ("A fox", "4", MODEL)


async def test_the_adapter_reads_many_jobs_in_few_pages(
    simulator: RunningSimulator, replicate: Replicate, clock: Hand
) -> None:
    for number in range(350):
        clock.seconds += 0.001 * (number % 3)  # some have the same moment
        await replicate.submit(REQUEST)
    ids: list[str] = []
    while True:
        page = await replicate.page(ids[-1] if ids else None, 100)
        ids += [one.provider_job_id for one in page.entries]
        if not page.more:
            break
    assert len(set(ids)) == len(ids) == 350
    assert simulator.simulator.requests["list"] == 4
    covered = set(ids[:100])
    for after in ids[99::99]:
        page = await replicate.page(after, 100)
        covered.update(one.provider_job_id for one in page.entries)
    assert covered == set(ids)
    assert simulator.simulator.requests["get"] == 0


async def test_the_adapter_cancels(replicate: Replicate) -> None:
    outcome = await replicate.submit(REQUEST)
    assert isinstance(outcome, Accepted)
    assert await replicate.cancel(outcome.provider_job_id)
    told = (await replicate.get(outcome.provider_job_id)).report
    assert isinstance(told, Failed)
    assert told.code == "canceled"


async def test_faults_are_worded_as_replicate_words_them(
    simulator: RunningSimulator, replicate: Replicate, clock: Hand
) -> None:
    simulator.simulator.faults = Faults(rate_limited=1, retry_after_seconds=3)
    outcome = await replicate.submit(REQUEST)
    assert outcome == RateLimited(3.0, "Request was throttled. Your rate limit resets in ~3s.")
    simulator.simulator.faults = Faults(moderation=1)
    accepted = await replicate.submit(REQUEST)
    assert isinstance(accepted, Accepted)
    clock.seconds += 10
    told = (await replicate.get(accepted.provider_job_id)).report
    assert isinstance(told, Failed)
    assert told.code == "moderation"


async def test_each_wire_lists_its_own_jobs(
    simulator: RunningSimulator, replicate: Replicate
) -> None:
    await replicate.submit(REQUEST)
    headers = {"Authorization": "Bearer r8_key"}
    async with (
        ClientSession(headers=headers) as session,
        session.get(f"{simulator.base_url}/videos") as answer,
    ):
        assert (await answer.json())["data"] == []
