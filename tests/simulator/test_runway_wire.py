"""The simulator's Runway wire, as the official SDK and our adapter meet it."""

from collections.abc import AsyncIterator
from random import Random

import pytest
from runwayml import AsyncRunwayML, AuthenticationError, BadRequestError, NotFoundError
from simulated import running

from reelhook.domain.report import Accepted, Cost, Failed, Finished, Missing, Progress
from reelhook.domain.request import VideoRequest
from reelhook.providers.runway.provider import Runway
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator

REQUEST = VideoRequest(prompt="A fox", model="gen4.5", seconds="4")


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
        Faults(queue_seconds=1, render_seconds=8), random=Random(1), clock=clock, api_key="key_1"
    ) as server:
        yield server


@pytest.fixture
async def runway(simulator: RunningSimulator, clock: Hand) -> AsyncIterator[Runway]:
    async with Runway(f"{simulator.root_url}/runway/v1", "key_1", now=clock) as one:
        yield one


@pytest.fixture
async def client(simulator: RunningSimulator) -> AsyncIterator[AsyncRunwayML]:
    async with AsyncRunwayML(
        api_key="key_1", base_url=f"{simulator.root_url}/runway", max_retries=0
    ) as one:
        yield one


async def test_the_sdk_creates_polls_and_deletes(client: AsyncRunwayML, clock: Hand) -> None:
    created = await client.text_to_video.create(
        model="gen4.5", prompt_text="A fox", ratio="1280:720", duration=4
    )
    assert created.model_dump()["estimated_cost"] == {"credits": 20}
    task = await client.tasks.retrieve(created.id)
    assert task.status == "PENDING"
    clock.seconds += 4.5
    task = await client.tasks.retrieve(created.id)
    assert task.status == "RUNNING"
    assert task.progress == 0.5
    clock.seconds += 4
    task = await client.tasks.retrieve(created.id)
    assert task.status == "SUCCEEDED"
    assert task.cost.credits == 20
    assert len(task.output) == 1
    await client.tasks.delete(created.id)
    with pytest.raises(NotFoundError):
        await client.tasks.retrieve(created.id)


async def test_the_sdk_begins_with_an_image_and_asks_for_its_organization(
    client: AsyncRunwayML,
) -> None:
    created = await client.image_to_video.create(
        model="gen4_turbo", prompt_image="https://h/i.png", prompt_text="A", ratio="1584:672"
    )
    assert created.id
    assert (await client.organization.retrieve()).credit_balance > 0


async def test_the_sdk_reads_errors(client: AsyncRunwayML, simulator: RunningSimulator) -> None:
    with pytest.raises(BadRequestError, match="prompt"):
        await client.text_to_video.create(
            model="gen4.5", prompt_text="", ratio="1280:720", duration=4
        )
    with pytest.raises(BadRequestError, match="X-Runway-Version"):
        await client.tasks.retrieve("x", extra_headers={"X-Runway-Version": "2023-01-01"})
    async with AsyncRunwayML(
        api_key="wrong", base_url=f"{simulator.root_url}/runway", max_retries=0
    ) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.tasks.retrieve("x")


async def test_a_moderated_task_fails_as_runway_says_it(
    client: AsyncRunwayML, runway: Runway, simulator: RunningSimulator, clock: Hand
) -> None:
    simulator.simulator.faults = Faults(moderation=1)
    outcome = await runway.submit(REQUEST)
    assert isinstance(outcome, Accepted)
    clock.seconds += 10
    task = await client.tasks.retrieve(outcome.provider_job_id)
    assert task.status == "FAILED"
    assert str(task.failure_code).startswith("SAFETY.")
    told = (await runway.get(outcome.provider_job_id)).report
    assert isinstance(told, Failed)
    assert told.code == "moderation"


async def test_the_adapter_takes_a_job_from_submit_to_its_video(
    runway: Runway, clock: Hand
) -> None:
    outcome = await runway.submit(REQUEST)
    assert isinstance(outcome, Accepted)
    assert outcome.quote == Cost(20.0, "credits")
    one = outcome.provider_job_id
    assert (await runway.get(one)).report == Progress(running=False)
    clock.seconds += 4.5
    assert (await runway.get(one)).report == Progress(True, 50)
    clock.seconds += 4
    told = (await runway.get(one)).report
    assert isinstance(told, Finished)
    assert told.cost == Cost(20.0, "credits")
    clock.seconds += 3 * 24 * 3600  # its address has expired: the task is asked for another
    async with runway.content(one, told.url, "bytes=4-7") as content:
        assert b"".join([chunk async for chunk in content.chunks]) == b"ftyp"
    assert "credits" in await runway.check()
    assert not await runway.cancel(one)  # its video would go with it
    assert isinstance((await runway.get(one)).report, Finished)
    waiting = await runway.submit(REQUEST)
    assert isinstance(waiting, Accepted)
    assert await runway.cancel(waiting.provider_job_id)
    assert (await runway.get(waiting.provider_job_id)).report == Missing()


@pytest.mark.parametrize("ratio", ["3840:2160", "16:9", "auto_720p", "odd", None])
async def test_any_ratio_makes_a_video(
    runway: Runway, simulator: RunningSimulator, ratio: str | None
) -> None:
    options = {} if ratio is None else {"ratio": ratio}
    request = VideoRequest(prompt="A fox", model="new", options=options)
    assert isinstance(await runway.submit(request), Accepted)
