"""Several accounts: jobs shared out, caps, siblings, and providers that hold no other up."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import Engine, Played, Stage, stage, until
from engine_upstream import Upstream, answers, reset, upstream, when

from reelhook.domain.catalog import Account
from reelhook.domain.job import Status
from reelhook.engine.submitting.submit import SIBLING_WAIT_MILLISECONDS
from reelhook.providers.openai.provider import OpenAI


class Other(OpenAI):
    """A second provider, which speaks as the first does."""

    name = "other"


@asynccontextmanager
async def upstreams(here: Stage, count: int) -> AsyncIterator[list[Upstream]]:
    """More providers in addition to that of the stage."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(upstream(lambda: here.clock.now() / 1000))
            for _ in range(count)
        ]


@asynccontextmanager
async def two_accounts(
    tmp_path: Path, first: Account, second: Account, **options: Any
) -> AsyncIterator[tuple[Stage, Engine, Upstream, Upstream]]:
    """Two accounts of one provider, each at its own server, so that tests can tell them apart."""
    async with stage(tmp_path, **options) as here, upstreams(here, 1) as (there,):
        played = (Played(first), Played(second, OpenAI, there.url))
        async with here.engine(accounts=played) as engine:
            yield here, engine, here.upstream, there


async def accounts_of(engine: Engine) -> Counter[str]:
    return Counter(job.account for job in await engine.jobs())


# -- shared out -----------------------------------------------------------------------------------


async def test_new_jobs_are_shared_out_by_weight(tmp_path: Path) -> None:
    first, second = Account("heavy", "openai", weight=3), Account("light", "openai")
    async with two_accounts(tmp_path, first, second) as (_, engine, one, two):
        for number in range(200):
            await engine.submit(f"fox {number}")
        await engine.settled()
        shares = await accounts_of(engine)
        assert 130 <= shares["heavy"] <= 170
        assert (one.creations, two.creations) == (shares["heavy"], shares["light"])


async def test_an_account_that_is_named_gets_the_job(tmp_path: Path) -> None:
    first, second = Account("heavy", "openai", weight=1000), Account("light", "openai")
    async with two_accounts(tmp_path, first, second) as (_, engine, one, two):
        job_id = await engine.submit("a fox", model="light/sora-2")
        await engine.settled()
        job = await engine.job(job_id)
        assert (job.account, job.provider, job.model) == ("light", "openai", "sora-2")
        assert (one.creations, two.creations) == (0, 1)


# -- no more at once than an account may have -----------------------------------------------------


async def test_what_exceeds_jobs_max_waits_in_order_and_says_its_place(tmp_path: Path) -> None:
    only = Account("openai", "openai", jobs_max=2)
    async with stage(tmp_path, accounts=(Played(only),)) as here, here.engine() as engine:
        ids = []
        for number in range(5):
            ids.append(await engine.submit(f"fox {number}"))
            await engine.settled("submit")
            here.time.advance(0.001)
        await engine.settled()
        assert here.upstream.creations == 2
        places = [await engine.service.queue_position(await engine.job(one)) for one in ids]
        assert places == [None, None, 0, 1, 2]
        [account] = (await engine.operations.stats())["accounts"]
        assert (account["in_flight"], account["waiting"], account["jobs_max"]) == (2, 3, 2)

        for place in range(1, 4):
            ending = next(one.id for one in here.upstream.videos.values() if one.status == "queued")
            here.upstream.change(ending, status="completed")
            await engine.pass_time(6)
            assert here.upstream.creations == 2 + place
        prompts = [one.prompt for one in here.upstream.videos.values()]
        assert prompts == [f"fox {number}" for number in range(5)]


async def test_a_job_in_doubt_counts_as_one_that_the_provider_has(tmp_path: Path) -> None:
    only = Account("openai", "openai", jobs_max=1)
    async with stage(tmp_path, accounts=(Played(only),)) as here, here.engine() as engine:
        here.upstream.on_create = answers(500)
        await engine.submit("in doubt")
        await engine.settled()
        here.upstream.on_create = None
        await engine.submit("waits")
        await engine.pass_time(30)
        assert here.upstream.creations == 1


# -- siblings -------------------------------------------------------------------------------------


async def test_a_refused_account_s_jobs_are_taken_by_its_sibling(tmp_path: Path) -> None:
    first, second = Account("blocked", "openai", weight=1000), Account("free", "openai")
    async with two_accounts(tmp_path, first, second) as (_, engine, one, two):
        one.on_create = answers(429, {"error": {"message": "slow down"}}, {"Retry-After": "600"})
        ids = [await engine.submit(f"fox {number}", model="sora-2") for number in range(3)]
        await engine.settled()
        await engine.pass_time(1)
        assert two.creations == 0  # it may still be over soon
        await engine.pass_time(2 * SIBLING_WAIT_MILLISECONDS / 1000)
        for job_id in ids:
            job = await engine.job(job_id)
            assert (job.status, job.account) == (Status.QUEUED, "free")
        assert 1 <= one.creations <= 3  # none any more once the first was refused
        assert two.creations == 3
        assert sorted(video.prompt for video in two.videos.values()) == ["fox 0", "fox 1", "fox 2"]


async def test_what_a_full_account_has_no_room_for_is_taken_by_its_sibling(tmp_path: Path) -> None:
    first, second = Account("small", "openai", weight=1000, jobs_max=1), Account("large", "openai")
    async with two_accounts(tmp_path, first, second) as (_, engine, one, two):
        for number in range(4):
            await engine.submit(f"fox {number}", model="sora-2")
        await engine.settled()
        assert (one.creations, two.creations) == (1, 0)
        await engine.pass_time(10)
        assert (one.creations, two.creations) == (1, 3)


@pytest.mark.parametrize("weight", [1, 0])
async def test_what_waits_for_an_account_that_was_named_is_taken_by_no_other(
    tmp_path: Path, weight: int
) -> None:
    first, second = Account("blocked", "openai", weight=weight), Account("free", "openai")
    async with two_accounts(tmp_path, first, second) as (_, engine, one, two):
        one.on_create = answers(429, {"error": {"message": "slow down"}}, {"Retry-After": "20"})
        job_id = await engine.submit("a fox", model="blocked/sora-2")
        await engine.pass_time(15)
        assert (await engine.job(job_id)).status is Status.ACCEPTED
        one.on_create = None
        await engine.pass_time(10)
        job = await engine.job(job_id)
        assert (job.status, job.account) == (Status.QUEUED, "blocked")
        assert two.creations == 0


async def test_an_account_without_weight_takes_no_job_that_does_not_name_it(tmp_path: Path) -> None:
    first, second = Account("small", "openai", jobs_max=1), Account("apart", "openai", weight=0)
    async with two_accounts(tmp_path, first, second) as (_, engine, one, two):
        for number in range(4):
            await engine.submit(f"fox {number}")
        await engine.pass_time(10)
        assert (one.creations, two.creations) == (1, 0)


async def test_a_job_that_a_sibling_took_is_watched_and_ends_there(tmp_path: Path) -> None:
    first, second = Account("small", "openai", weight=1000, jobs_max=1), Account("large", "openai")
    async with two_accounts(tmp_path, first, second) as (here, engine, _, two):
        await engine.submit("first", model="sora-2")
        await engine.settled()
        job_id = await engine.submit("second", here.hook, model="sora-2")
        await engine.pass_time(10)
        [video] = two.videos
        two.change(video, status="completed")
        await engine.pass_time(5)
        job = await engine.job(job_id)
        assert (job.status, job.account) == (Status.COMPLETED, "large")
        [webhook] = here.receivers.of(job_id)
        assert (webhook.body["status"], webhook.body["sequence"]) == ("completed", 1)


async def test_a_paid_call_under_way_is_not_taken_by_the_sibling(tmp_path: Path) -> None:
    gate = asyncio.Event()
    first, second = Account("slow", "openai", weight=1000), Account("free", "openai")
    options = {"submit_timeout_seconds": 60}
    async with two_accounts(tmp_path, first, second, **options) as (here, engine, one, two):
        one.on_create = when(gate, one.take)
        job_id = await engine.submit("a fox", model="sora-2")
        await until(lambda: one.creations == 1)
        here.time.advance(20)
        await until(lambda: engine.idle("submit"))
        assert two.creations == 0
        gate.set()
        assert (await engine.job_when(job_id, Status.QUEUED)).account == "slow"
        assert (one.creations, two.creations) == (1, 0)


async def test_what_a_sibling_created_in_the_same_listing_is_not_taken_for_ours(
    tmp_path: Path,
) -> None:
    """Two keys of one organisation, and the same request by both."""
    played = (Played(Account("one", "openai")), Played(Account("two", "openai")))
    async with stage(tmp_path, accounts=played) as here, here.engine() as engine:
        first = await engine.submit("a fox", model="one/sora-2")
        await engine.submit("warm-up", model="two/sora-2")  # whose listing is then known to show it
        await engine.pass_time(6)
        here.upstream.on_create = reset
        second = await engine.submit("a fox", model="two/sora-2")
        await engine.job_when(second, Status.SUBMITTING)
        await engine.settled()
        here.upstream.on_create = None
        await engine.pass_time(90)
        jobs = [await engine.job(one) for one in (first, second)]
        assert {job.status for job in jobs} == {Status.QUEUED}
        assert jobs[0].provider_job_id != jobs[1].provider_job_id
        assert here.upstream.creations == 4


@pytest.mark.parametrize("answered", [False, True])
async def test_what_a_sibling_asks_for_in_the_same_listing_is_not_taken_for_ours(
    tmp_path: Path, answered: bool
) -> None:
    """Two requests that differ in fields that no listing shows; the sibling's call is in flight."""
    gate = asyncio.Event()
    played = (Played(Account("one", "openai")), Played(Account("two", "openai")))
    async with (
        stage(tmp_path, accounts=played, submit_timeout_seconds=60) as here,
        here.engine() as engine,
    ):
        for account in ("one", "two"):
            await engine.submit("warm-up", model=f"{account}/sora-2")
        await engine.pass_time(6)
        here.upstream.on_create = reset
        ours = await engine.submit("a fox", model="one/sora-2", seed=1)
        await until(lambda: here.upstream.creations == 3)
        await engine.settled()

        async def taken_and_told_later(request: web.Request) -> web.StreamResponse:
            answer = await here.upstream.take(request)
            await gate.wait()
            return answer if answered else await reset(request)

        here.upstream.on_create = taken_and_told_later
        theirs = await engine.submit("a fox", model="two/sora-2", seed=2)
        await until(lambda: len(here.upstream.videos) == 3)
        listings = here.upstream.count("list")
        here.time.advance(5)  # `one` looks its own up
        await until(lambda: here.upstream.count("list") > listings)
        await until(lambda: engine.idle("submit:two"))
        assert (await engine.job(ours)).status is Status.SUBMITTING
        gate.set()
        await until(engine.idle)
        here.upstream.on_create = None
        await engine.pass_time(120)
        jobs = [await engine.job(one) for one in (ours, theirs)]
        if answered:
            assert here.upstream.creations == 5  # ours definitely was not there: created again
            assert {job.status for job in jobs} == {Status.QUEUED}
            assert jobs[0].provider_job_id != jobs[1].provider_job_id
        else:
            assert here.upstream.creations == 4  # nothing was paid for twice
            assert jobs[0].provider_job_id is None


async def test_an_answer_that_comes_once_another_worker_looks_the_job_up_still_counts(
    tmp_path: Path,
) -> None:
    gate = asyncio.Event()
    async with stage(tmp_path, submit_timeout_seconds=60) as here, here.engine() as engine:
        here.upstream.on_create = when(gate, here.upstream.take)
        here.upstream.on_list = answers(404)
        job_id = await engine.submit("a fox")
        await until(lambda: here.upstream.creations == 1)
        here.query("UPDATE leases SET epoch = epoch + 1 WHERE id LIKE 'account:%'")
        here.query("UPDATE jobs SET doubt_since = updated_at, version = version + 1")
        gate.set()
        job = await engine.job_when(job_id, Status.QUEUED)
        assert job.provider_job_id in here.upstream.videos
        assert (job.doubt_since, job.adopted) == (None, False)


# -- other providers ------------------------------------------------------------------------------


async def test_a_provider_that_refuses_everything_delays_no_other_and_its_jobs_end_afterwards(
    tmp_path: Path,
) -> None:
    refusal = answers(429, {"error": {"message": "busy"}}, {"Retry-After": "10"})
    async with stage(tmp_path) as here, upstreams(here, 1) as (other,):
        played = (
            Played(Account("openai", "openai")),
            Played(Account("other", "other"), Other, other.url),
        )
        async with here.engine(accounts=played) as engine:
            here.upstream.on_create = here.upstream.on_get = here.upstream.on_list = refusal
            mine = [await engine.submit(f"mine {number}") for number in range(3)]
            for number in range(12):
                theirs = await engine.submit(f"their {number}", model="other/m")
                await engine.job_when(theirs, Status.QUEUED)
                other.change(*other.videos, status="completed")
                await engine.pass_time(10)
                job = await engine.job(theirs)
                assert job.status is Status.COMPLETED
                assert job.updated_at - job.created_at <= 5000
            assert {(await engine.job(one)).status for one in mine} == {Status.ACCEPTED}

            here.upstream.on_create = here.upstream.on_get = here.upstream.on_list = None
            await engine.pass_time(12)
            assert sorted(video.prompt for video in here.upstream.videos.values()) == [
                f"mine {number}" for number in range(3)
            ]
            here.upstream.change(*here.upstream.videos, status="completed")
            await engine.pass_time(5)
            assert {(await engine.job(one)).status for one in mine} == {Status.COMPLETED}
