"""Who follows jobs is woken by the changes of those, whichever process made them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from engine_stubs import Upstream
from engine_waiting import ended, until_job, watched
from storage.postgres_databases import emptied_database

import reelhook
from reelhook.core.followers import Broadcast, Follower
from reelhook.doors.compat.functions import Hook


def test_a_change_wakes_its_own_followers_alone() -> None:
    broadcast = Broadcast()
    with broadcast.follow(["a", "b"]) as one, broadcast.follow(["b", "c"]) as other:
        assert (one.take(), other.take()) == (["a", "b"], ["b", "c"])  # all of them, at first
        broadcast.notify(["a", "x"])
        assert one.changed.is_set()
        assert not other.changed.is_set()
        assert (one.take(), other.take()) == (["a"], [])
        assert not one.changed.is_set()
        broadcast.wake(["b", "c"])
        assert (one.take(), other.take()) == (["b"], ["b", "c"])
        broadcast.wake_all()
        assert (one.take(), other.take()) == (["a", "b"], ["b", "c"])


def test_who_follows_no_longer_is_forgotten() -> None:
    broadcast = Broadcast()
    with broadcast.follow(["a"]) as one:
        one.take()
    broadcast.notify(["a"])
    assert not one.changed.is_set()
    assert not broadcast._followers


async def begun(follower: Follower) -> None:
    """Wait until the feed is looked at, which begins by waking everyone."""
    async with asyncio.timeout(20):
        await follower.changed.wait()
    follower.take()


async def finished(hook: Hook, upstream: Upstream, script: str) -> str:
    """Have a job created and completed; return its id."""
    job_id = await hook.submit(script)
    await until_job(hook, job_id, watched)
    await finish(hook, upstream, job_id)
    return job_id


async def finish(hook: Hook, upstream: Upstream, job_id: str) -> None:
    video = (await hook.service.job(job_id)).job.provider_job_id
    assert video is not None
    upstream.videos[video] |= {"status": "completed", "progress": 100}
    await until_job(hook, job_id, ended)


async def test_a_follower_sleeps_through_the_changes_of_other_jobs(
    hook: Hook, upstream: Upstream
) -> None:
    quiet = await finished(hook, upstream, "quiet")
    with hook.service.follow([quiet]) as follower:
        await begun(follower)
        await finished(hook, upstream, "busy")
        assert not follower.changed.is_set()


@pytest.fixture(params=[True, False], ids=["told", "polling"])
async def two(
    request: pytest.FixtureRequest, settings: reelhook.Settings, postgres_url: str
) -> AsyncIterator[tuple[Hook, Hook]]:
    """A process that only serves, and one that works."""
    async with emptied_database(postgres_url) as url, AsyncExitStack() as stack:
        update = {"database_url": url, "wake_ups": request.param}
        chosen = settings.model_copy(update=update)
        door = await stack.enter_async_context(reelhook.open(chosen, work=False))
        worker = await stack.enter_async_context(reelhook.open(chosen))
        yield door, worker


async def test_what_another_process_changed_wakes_its_own_followers_alone(
    two: tuple[Hook, Hook], upstream: Upstream
) -> None:
    door, _ = two
    quiet = await finished(door, upstream, "quiet")
    job_id = await door.submit("busy")
    await until_job(door, job_id, watched)
    with (
        door.service.follow([quiet]) as sleeper,
        door.service.follow([job_id]) as follower,
    ):
        await begun(sleeper)
        await begun(follower)
        await finish(door, upstream, job_id)
        async with asyncio.timeout(20):
            await follower.changed.wait()
        assert follower.take() == [job_id]
        assert not sleeper.changed.is_set()
