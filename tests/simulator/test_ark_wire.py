"""The simulator's Ark wire, as the official SDK and our adapter meet it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from aiohttp import web
from cleaning_up import clean_up
from simulated import running
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime._exceptions import (
    ArkAPIStatusError,
    ArkAuthenticationError,
    ArkBadRequestError,
    ArkNotFoundError,
)
from volcenginesdkarkruntime.types.content_generation.content_generation_task import (
    ContentGenerationTask,
)

from reelhook.domain.errors import ContentMissingError, ProviderUnauthorizedError
from reelhook.domain.report import (
    Accepted,
    Cost,
    Failed,
    Finished,
    InDoubt,
    Missing,
    Notice,
    Progress,
    RateLimited,
    Refused,
)
from reelhook.domain.request import VideoRequest
from reelhook.providers.ark.provider import Ark
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator

MODEL = "seedance-1-5-pro-251215"
REQUEST = VideoRequest(prompt="A fox", model=MODEL, seconds="4", size="864x480", seed=7)
FAULTS = Faults(queue_seconds=1, render_seconds=8)


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
    async with running(FAULTS, random=Random(1), clock=clock, api_key="key") as server:
        yield server


@pytest.fixture
async def ark(simulator: RunningSimulator, clock: Hand) -> AsyncIterator[Ark]:
    async with Ark(f"{simulator.root_url}/ark/api/v3", "key", now=clock) as one:
        yield one


@pytest.fixture
async def client(simulator: RunningSimulator) -> AsyncIterator[AsyncArk]:
    url = f"{simulator.root_url}/ark/api/v3"
    one = AsyncArk(base_url=url, api_key="key", max_retries=0)
    yield one
    await one.close()


TEXT = [{"type": "text", "text": "A fox"}]


# -- the official SDK -----------------------------------------------------------------------------


async def test_the_sdk_creates_polls_and_reads_the_video(client: AsyncArk, clock: Hand) -> None:
    tasks = client.content_generation.tasks
    made = await tasks.create(model=MODEL, content=TEXT, ratio="9:16", duration=4, seed=7)
    statuses = []
    for _ in range(3):
        task = await tasks.get(task_id=made.id)
        statuses.append(task.status)
        clock.seconds += 4
    assert statuses == ["queued", "running", "succeeded"]
    assert task.content.video_url.endswith("/video.mp4")
    assert task.usage.total_tokens == task.usage.completion_tokens > 0
    assert (task.ratio, task.resolution, task.duration, task.seed) == ("9:16", "720p", 4, 7)
    assert task.updated_at - task.created_at == 8
    assert set(task.to_dict()) <= set(ContentGenerationTask.model_fields)


async def test_the_sdk_lists_by_status_by_ids_and_by_page(client: AsyncArk, clock: Hand) -> None:
    tasks = client.content_generation.tasks
    made = []
    for number in range(5):
        made.append((await tasks.create(model=MODEL, content=TEXT)).id)
        clock.seconds += 2 if number == 2 else 0
    running_ = await tasks.list(status="running", page_size=500)
    assert [one.id for one in running_.items] == made[2::-1]
    assert running_.total == 3
    second = await tasks.list(page_num=2, page_size=2)
    assert [one.id for one in second.items] == [made[2], made[1]]
    chosen = await tasks.list(task_ids=[made[0], made[4], "cgt-none"])
    assert {one.id for one in chosen.items} == {made[0], made[4]}
    assert (await tasks.list(service_tier="flex")).total == 0
    clock.seconds += 7 * 24 * 3600 + 1
    assert (await tasks.list()).total == 0
    with pytest.raises(ArkBadRequestError, match="page_size"):
        await tasks.list(page_size=501)


async def test_the_sdk_cancels_what_waits_and_deletes_what_has_ended(
    client: AsyncArk, clock: Hand
) -> None:
    tasks = client.content_generation.tasks
    waiting = (await tasks.create(model=MODEL, content=TEXT)).id
    await tasks.delete(waiting)
    assert (await tasks.get(task_id=waiting)).status == "cancelled"
    other = (await tasks.create(model=MODEL, content=TEXT)).id
    clock.seconds += 4
    with pytest.raises(ArkAPIStatusError, match="RunningTaskDeletion"):
        await tasks.delete(other)
    clock.seconds += 4
    await tasks.delete(other)
    with pytest.raises(ArkNotFoundError):
        await tasks.get(task_id=other)


async def test_the_sdk_reads_refusals(simulator: RunningSimulator, client: AsyncArk) -> None:
    tasks = client.content_generation.tasks
    with pytest.raises(ArkBadRequestError, match="content"):
        await tasks.create(model=MODEL, content=None)
    with pytest.raises(ArkBadRequestError, match="InvalidParameter"):
        await tasks.create(model=MODEL, content=TEXT, ratio="7:3x")
    url = f"{simulator.root_url}/ark/api/v3"
    stranger = AsyncArk(base_url=url, api_key="wrong", max_retries=0)
    with pytest.raises(ArkAuthenticationError, match="AuthenticationError"):
        await stranger.content_generation.tasks.list()
    await stranger.close()


# -- our adapter ----------------------------------------------------------------------------------


async def test_the_adapter_takes_a_job_from_submit_to_its_video(ark: Ark, clock: Hand) -> None:
    outcome = await ark.submit(REQUEST)
    assert isinstance(outcome, Accepted)
    one = outcome.provider_job_id
    assert (await ark.get(one)).report == Progress(running=False)
    clock.seconds += 4
    assert (await ark.get_many([one]))[one].report == Progress(running=True)
    clock.seconds += 4
    told = (await ark.get(one)).report
    assert isinstance(told, Finished)
    assert (told.expires_at, told.cost) == (int(clock.seconds) + 86400, Cost(87_120, "tokens"))
    async with ark.content(one, told.url, "bytes=4-7") as content:
        assert b"".join([chunk async for chunk in content.chunks]) == b"ftyp"
    assert await ark.check() == "1 tasks in 7 days"
    clock.seconds += 86400
    with pytest.raises(ContentMissingError):
        async with ark.content(one, told.url, None):
            pass


@pytest.mark.long
async def test_a_thousand_jobs_cost_at_most_five_requests_a_round(
    simulator: RunningSimulator, ark: Ark, clock: Hand
) -> None:
    ids = []
    for number in range(1000):
        outcome = await ark.submit(REQUEST)
        assert isinstance(outcome, Accepted)
        ids.append(outcome.provider_job_id)
        clock.seconds += 10 / 1000 if number % 10 == 0 else 0
    while True:
        simulator.simulator.requests.clear()
        told = await ark.get_many(ids)
        assert set(told) == set(ids)
        assert simulator.simulator.requests.total() <= 5
        ids = [one for one in ids if isinstance(told[one].report, Progress)]
        if not ids:
            break
        clock.seconds += 0.5


async def test_the_adapter_pages_through_both_tiers(
    simulator: RunningSimulator, ark: Ark, clock: Hand
) -> None:
    flexible = VideoRequest(prompt="A fox", model=MODEL, options={"service_tier": "flex"})
    made = []
    for number in range(1100):
        outcome = await ark.submit(flexible if number % 3 == 0 else REQUEST)
        assert isinstance(outcome, Accepted)
        made.append(outcome.provider_job_id)
        clock.seconds += 1
    shown: list[str] = []
    more = True
    while more:
        page = await ark.page(shown[-1] if shown else None, 500)
        shown += [one.provider_job_id for one in page.entries]
        more = page.more
    assert shown == made[::-1]
    assert len(await ark.get_many(made)) == len(made)


async def test_the_adapter_meets_the_faults(
    simulator: RunningSimulator, ark: Ark, clock: Hand
) -> None:
    simulator.simulator.faults = Faults(rate_limited=1, retry_after_seconds=7)
    assert await ark.submit(REQUEST) == RateLimited(7.0, "Rate limit reached; try again later.")
    for fault in ("server_error", "reset", "malformed", "lost_create"):
        simulator.simulator.faults = Faults(**{fault: 1})  # type: ignore[arg-type]  # names of rates
        assert isinstance(await ark.submit(REQUEST), InDoubt)
    simulator.simulator.faults = Faults()
    lost = (await ark.page(None, 500)).entries
    assert [(one.model, one.prompt, one.created_at) for one in lost] == [
        (MODEL, None, int(clock.seconds) * 1000)
    ] * 2
    simulator.simulator.faults = Faults(moderation=1, render_seconds=1)
    outcome = await ark.submit(REQUEST)
    assert isinstance(outcome, Accepted)
    clock.seconds += 2
    told = (await ark.get(outcome.provider_job_id)).report
    assert isinstance(told, Failed)
    assert told.code == "moderation"
    assert (await ark.get("cgt-none")).report == Missing()


async def test_the_adapter_cancels_what_waits(ark: Ark, clock: Hand) -> None:
    outcome = await ark.submit(REQUEST)
    assert isinstance(outcome, Accepted)
    assert await ark.cancel(outcome.provider_job_id)
    told = (await ark.get(outcome.provider_job_id)).report
    assert told == Failed("canceled", "The task was cancelled.")
    other = await ark.submit(REQUEST)
    assert isinstance(other, Accepted)
    clock.seconds += 4
    assert not await ark.cancel(other.provider_job_id)


async def test_a_wrong_key_and_a_wrong_request_are_refused(simulator: RunningSimulator) -> None:
    async with Ark(f"{simulator.root_url}/ark/api/v3", "wrong") as stranger:
        outcome = await stranger.submit(REQUEST)
        assert isinstance(outcome, Refused)
        assert outcome.unauthorized
        with pytest.raises(ProviderUnauthorizedError):
            await stranger.check()


async def test_callbacks_tell_every_change(ark: Ark, clock: Hand) -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        received.put_nowait(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        outcome = await ark.submit(REQUEST, callback_url=url)
        assert isinstance(outcome, Accepted)
        for status in (b"running", b"succeeded"):
            clock.seconds += 4
            body = await asyncio.wait_for(received.get(), 60)
            assert status in body
            assert await ark.notice({}, body) == Notice(outcome.provider_job_id)
    finally:
        await clean_up(runner)


FILE = "https://i.example/fox.file"


@pytest.mark.parametrize(
    ("fields", "accepted"),
    [
        ({"image": FILE, "last_frame": FILE, "audio": True, "resolution": "1080p"}, True),
        (
            dict.fromkeys(("reference_images", "reference_videos", "reference_audios"), (FILE,)),
            True,
        ),
        ({"last_frame": FILE}, False),
        ({"image": FILE, "reference_images": (FILE,)}, False),
        ({"options": {"content": [{"type": "image_url", "role": "middle_frame"}]}}, False),
        ({"options": {"generate_audio": "yes"}}, False),
    ],
)
async def test_frames_and_references_are_checked(
    ark: Ark, fields: dict[str, Any], accepted: bool
) -> None:
    outcome = await ark.submit(replace(REQUEST, **fields))
    assert isinstance(outcome, Accepted if accepted else Refused)
