"""How jobs are watched: with few requests, whatever the listing is like."""

import asyncio
from typing import Any

import pytest
from engine_stubs import Receiver, Upstream
from engine_waiting import ended, until, until_job, watched

import reelhook
from reelhook.doors.compat.functions import Hook


@pytest.fixture
def settings(settings: reelhook.Settings) -> reelhook.Settings:
    # Rounds are recognized by their ends, which are far enough apart that none is overlooked.
    return settings.model_copy(update={"poll_seconds": 0.4})


async def watch(hook: Hook, number: int) -> None:
    ids = await asyncio.gather(*(hook.submit(f"Fox {index}") for index in range(number)))
    for job_id in ids:
        await until_job(hook, job_id, watched)


async def reads_a_round(upstream: Upstream, hook: Hook, rounds: int = 3) -> float:
    async def next_round() -> None:
        last = (await hook.operations.stats())["watcher"]["last_round_at"]
        while (await hook.operations.stats())["watcher"]["last_round_at"] == last:  # noqa: ASYNC110 - the round's end is only told in the store
            await asyncio.sleep(0.01)

    for _ in range(3):  # the order of the listing is learnt by then
        await next_round()
    before = upstream.counts["get"] + upstream.counts["list"]
    for _ in range(rounds):
        await next_round()
    return (upstream.counts["get"] + upstream.counts["list"] - before) / rounds


@pytest.mark.parametrize(("jobs", "reads_max"), [(100, 2), (450, 6)])
@pytest.mark.long
async def test_a_round_takes_a_page_for_a_hundred_jobs(
    jobs: int, reads_max: float, hook: Hook, upstream: Upstream
) -> None:
    await watch(hook, jobs)
    assert await reads_a_round(upstream, hook) <= reads_max


async def test_others_entries_between_ours_cost_no_single_reads(
    hook: Hook, upstream: Upstream
) -> None:
    for _ in range(10):
        await watch(hook, 5)
        for _ in range(15):
            upstream.add("Somebody else's", status="completed", progress=100)
    assert await reads_a_round(upstream, hook) <= 3


async def test_after_a_restart_the_order_is_learnt_anew(
    settings: reelhook.Settings, upstream: Upstream
) -> None:
    async with reelhook.open(settings) as first:
        await watch(first, 250)
    async with reelhook.open(settings) as second:
        assert await reads_a_round(upstream, second) <= 4


async def test_without_a_listing_jobs_are_read_singly(hook: Hook, upstream: Upstream) -> None:
    upstream.listing = False
    await watch(hook, 10)
    for video in upstream.videos.values():
        video |= {"status": "completed", "progress": 100}
    for stored in (await hook.service.jobs()).jobs:
        await until_job(hook, stored.job.id, ended)
    assert upstream.counts["list"] <= 3  # once more since the listing was new


@pytest.mark.parametrize("status", ["NOT_START", "finalizing", "paused"])
async def test_an_unknown_status_never_ends_a_job(
    status: str, hook: Hook, upstream: Upstream
) -> None:
    job_id = await hook.submit("A fox")
    await until_job(hook, job_id, watched)
    upstream.videos["video_1"]["status"] = status
    before = upstream.counts["get"] + upstream.counts["list"]
    await until(lambda: upstream.counts["get"] + upstream.counts["list"] >= before + 3)
    assert (await hook.service.job(job_id)).job.status.watched
    upstream.videos["video_1"] |= {"status": "completed", "progress": 100}
    await until_job(hook, job_id, ended)


async def test_what_has_not_changed_is_not_written(hook: Hook, upstream: Upstream) -> None:
    job_id = await hook.submit("A fox")
    version = (await until_job(hook, job_id, watched)).job.version
    before = upstream.counts["get"] + upstream.counts["list"]
    await until(lambda: upstream.counts["get"] + upstream.counts["list"] >= before + 4)
    assert (await hook.service.job(job_id)).job.version == version


async def test_a_job_that_is_too_old_is_checked_once_more_and_fails_with_an_event(
    settings: reelhook.Settings, upstream: Upstream, receiver: Receiver
) -> None:
    old = settings.model_copy(update={"max_age_hours": 2 / 3600})
    async with reelhook.open(old) as hook:
        stored = await until_job(hook, await hook.submit("A fox"), ended)
        await until(lambda: bool(receiver.bodies))
    assert stored.job.code == "expired"
    assert upstream.counts["get"] + upstream.counts["list"] >= 1
    assert receiver.bodies[-1]["code"] == "expired"


async def test_events_come_in_order_and_the_last_one_ends_the_job(
    hook: Hook, upstream: Upstream, receiver: Receiver
) -> None:
    job_id = await hook.submit("A fox")
    await until_job(hook, job_id, watched)
    steps: list[dict[str, Any]] = [
        {"status": "in_progress", "progress": 10},
        {"status": "in_progress", "progress": 60},
        {"status": "completed", "progress": 100},
    ]
    for number, step in enumerate(steps, start=1):
        upstream.videos["video_1"] |= step
        await until(lambda count=number: len(receiver.bodies) == count)  # type: ignore[misc]  # mypy does not infer a lambda's default
    assert [body["sequence"] for body in receiver.bodies] == [1, 2, 3]
    assert [body["status"] for body in receiver.bodies] == ["processing", "processing", "completed"]
