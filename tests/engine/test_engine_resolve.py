"""Resolve: what became of creates without an answer, found out from the provider's listing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import Engine, Stage, stage, until
from engine_upstream import Respond, answers, never, one_after_the_other, reset, when

from reelhook.domain.job import Job, Status
from reelhook.domain.reconciliation import SETTLES_MAX
from reelhook.ports import Acceptance, Change

SETTLE_SECONDS = 60


@asynccontextmanager
async def proven(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Stage, Engine]]:
    """An engine that has seen jobs of its own in the provider's listing."""
    async with stage(tmp_path, **options) as here, here.engine() as engine:
        await asyncio.gather(*(engine.submit(f"known {number}") for number in range(2)))
        await engine.pass_time(5)
        assert here.upstream.count("list")
        here.upstream.forget_requests()
        yield here, engine


def carried_out(here: Stage, answer: Respond = reset) -> Respond:
    """A create that is carried out while its answer gets lost, or says something else."""

    async def respond(request: web.Request) -> web.StreamResponse:
        here.upstream.create(await request.json())
        return await answer(request)

    return respond


async def doubtful(here: Stage, engine: Engine, script: str = "a fox", **fields: Any) -> str:
    """Submit a job whose create is reset; what a listing says of it is asked only later."""
    job_id = await engine.submit(script, here.hook, **fields)

    async def in_doubt() -> bool:
        return (await engine.job(job_id)).doubt_since is not None

    await until(in_doubt)
    return job_id


async def ended_unknown(here: Stage, engine: Engine, job_id: str) -> None:
    job = await engine.job(job_id)
    assert (job.status, job.code, job.sequence) == (Status.FAILED, "submission_unknown", 1)
    (webhook,) = here.receivers.of(job_id)
    assert webhook.body["status"] == "failed"
    assert webhook.body["code"] == "submission_unknown"
    assert webhook.body["soraJobId"] is None


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [None, 500, 502, 408, 409, 307])
async def test_a_lost_answer_is_found_in_the_listing_and_adopted(
    tmp_path: Path, status: int | None
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        elsewhere = {"Location": "/v1/videos"}
        answer = reset if status is None else answers(status, {}, elsewhere)
        here.upstream.on_create = carried_out(here, answer)
        job_id = await engine.submit("a fox")
        await engine.settled()

        job = await engine.job(job_id)
        assert (job.status, job.adopted) == (Status.QUEUED, True)
        assert [job.provider_job_id] == list(here.upstream.videos)
        assert here.upstream.creations == 1


async def test_identical_requests_are_adopted_one_to_one(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = carried_out(here)
        await asyncio.gather(*(engine.submit("a fox") for _ in range(30)))
        await engine.settled()
        await engine.pass_time(10)

        held = [job.provider_job_id for job in await engine.jobs()]
        assert sorted(map(str, held)) == sorted(here.upstream.videos)
        assert here.upstream.creations == 30


async def newest_first(here: Stage) -> None:
    pass


async def ascending(here: Stage) -> None:
    here.upstream.newest_first = False


async def without_times(here: Stage) -> None:
    here.upstream.shows = lambda video: {k: v for k, v in video.items() if k != "created_at"}


async def with_small_pages(here: Stage) -> None:
    here.upstream.page_size_max = 20


async def bare(here: Stage) -> None:
    here.upstream.shows = lambda video: {
        k: v for k, v in video.items() if k in {"id", "prompt", "status"}
    }


LISTINGS = [newest_first, ascending, without_times, with_small_pages, bare]


@pytest.mark.parametrize("listing", LISTINGS)
async def test_a_lost_answer_is_found_deep_in_any_listing(tmp_path: Path, listing: Any) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await listing(here)
        here.upstream.add(*(f"older_{number}" for number in range(150)), prompt="of others")
        gate = asyncio.Event()

        async def lose(request: web.Request) -> web.StreamResponse:
            here.upstream.create(await request.json())
            here.upstream.add(*(f"newer_{number}" for number in range(150)), prompt="of others")
            return await reset(request)

        here.upstream.on_create = when(gate, lose)
        job_id = await engine.submit("a fox")
        gate.set()
        job = await engine.job_when(job_id, Status.QUEUED)

        assert str(job.provider_job_id).startswith("video_")


async def test_a_create_under_way_while_the_listing_is_read_keeps_its_own_entry(
    tmp_path: Path,
) -> None:
    created, gate = asyncio.Event(), asyncio.Event()

    async with proven(tmp_path, submit_timeout_seconds=60) as (here, engine):

        async def slowly(request: web.Request) -> web.StreamResponse:
            video = here.upstream.create(await request.json())
            created.set()
            await gate.wait()
            return web.json_response(video.shown())

        here.upstream.on_create = one_after_the_other(reset, slowly, here.upstream.take)
        lost = await doubtful(here, engine)
        answered = await engine.submit("a fox")
        await created.wait()
        here.upstream.forget_requests()
        here.time.advance(5)  # look again: now the listing shows the other one's entry
        await until(lambda: here.upstream.count("list"))
        await until(lambda: len(engine.loops["watch"].tasks) == 0)
        assert (await engine.job(lost)).status is Status.SUBMITTING
        gate.set()
        await engine.settled()

        job = await engine.job(answered)
        assert (job.status, job.adopted) == (Status.QUEUED, False)
        assert (await engine.job(lost)).status is Status.SUBMITTING
        await engine.pass_time(SETTLE_SECONDS)
        other = await engine.job(lost)
        assert other.status is Status.QUEUED
        assert other.provider_job_id != job.provider_job_id


async def test_a_creates_own_answer_dislodges_an_adoption_and_the_loser_looks_again(
    tmp_path: Path,
) -> None:
    async with proven(tmp_path) as (here, engine):
        here.upstream.on_create = reset
        loser = await doubtful(here, engine)

        async def taken_meanwhile(request: web.Request) -> web.StreamResponse:
            video = here.upstream.create(await request.json())
            job = (await engine.job(loser)).accept(video.id, here.time.now(), adopted=True)
            assert await engine.store.accept(Change(job), None) is Acceptance.RECORDED
            here.time.advance(2)  # nothing is in doubt now
            await until(lambda: here.time.awaits(engine.loops["resolve"].signal))
            return web.json_response(video.shown())

        here.upstream.on_create = one_after_the_other(taken_meanwhile, here.upstream.take)
        await engine.settled()  # a look-up in flight would wait for the create, which waits for it
        owner = await engine.submit("a fox")
        await engine.settled()
        assert (await engine.job(owner)).status is Status.QUEUED
        assert (await engine.job(loser)).status is Status.SUBMITTING
        await engine.pass_time(SETTLE_SECONDS + 10)

        jobs = [await engine.job(one) for one in (owner, loser)]
        assert {job.status for job in jobs} == {Status.QUEUED}
        assert len({job.provider_job_id for job in jobs}) == 2
        assert here.upstream.creations == 3


# -- absent ---------------------------------------------------------------------------------------


async def test_proven_absence_creates_once_more_and_only_after_the_settle_time(
    tmp_path: Path,
) -> None:
    async with proven(tmp_path) as (here, engine):
        here.upstream.on_create = one_after_the_other(reset, here.upstream.take)
        job_id = await doubtful(here, engine)
        await engine.pass_time(SETTLE_SECONDS - 0.1)
        assert here.upstream.creations == 1
        await engine.pass_time(0.1)
        assert here.upstream.creations == 2
        await engine.pass_time(2 * SETTLE_SECONDS)

        job = await engine.job(job_id)
        assert (job.status, job.adopted, job.submit_attempts) == (Status.QUEUED, False, 2)
        assert here.upstream.creations == 2


async def test_an_entry_that_shows_up_late_within_the_settle_time_is_adopted(
    tmp_path: Path,
) -> None:
    async with proven(tmp_path) as (here, engine):
        here.upstream.on_create = reset
        job_id = await doubtful(here, engine)
        await engine.pass_time(SETTLE_SECONDS - 1)
        here.upstream.add("late", prompt="a fox")
        await engine.pass_time(5)

        assert (await engine.job(job_id)).provider_job_id == "late"
        assert here.upstream.creations == 1


async def test_without_a_proven_listing_absence_is_unknown(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.add("of another", prompt="a hen")
        here.upstream.on_create = reset
        job_id = await doubtful(here, engine)
        await engine.pass_time(2 * SETTLE_SECONDS + 5)

        await ended_unknown(here, engine, job_id)
        assert here.upstream.creations == 1


async def test_reading_jobs_singly_proves_no_listing(tmp_path: Path) -> None:
    # LiteLLM lists elsewhere: its listing works, but what we created is not in it.
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.listed = lambda _: False
        await engine.submit("a hen")
        await engine.pass_time(15)
        here.upstream.on_create = carried_out(here)
        job_id = await doubtful(here, engine)
        await engine.pass_time(2 * SETTLE_SECONDS + 5)

        await ended_unknown(here, engine, job_id)
        assert here.upstream.creations == 2


async def ignoring_after(here: Stage) -> None:
    here.upstream.heeds_after = False


async def empty_but_more(here: Stage) -> None:
    here.upstream.wraps = lambda listing: {**listing, "data": [], "has_more": True}


async def without_ids(here: Stage) -> None:
    here.upstream.shows = lambda video: {**video, "id": None}


async def without_prompts(here: Stage) -> None:
    here.upstream.shows = lambda video: {**video, "prompt": None}


async def with_one_prompt_missing(here: Stage) -> None:
    here.upstream.add("unnamed", prompt="")
    here.upstream.shows = lambda video: {**video, "prompt": video["prompt"] or None}


async def in_another_size(here: Stage) -> None:
    here.upstream.shows = lambda video: {**video, "size": "1x1"}


async def refused(here: Stage) -> None:
    here.upstream.on_list = answers(405)


UNTELLING = [
    *(ignoring_after, empty_but_more, without_ids, without_prompts, with_one_prompt_missing),
    in_another_size,
]


@pytest.mark.parametrize("listing", UNTELLING)
async def test_a_listing_that_can_not_tell_ends_in_submission_unknown(
    tmp_path: Path, listing: Any
) -> None:
    async with proven(tmp_path) as (here, engine):
        here.upstream.add(*(f"other_{number}" for number in range(150)), prompt="of others")
        here.upstream.on_create = carried_out(here)
        await listing(here)
        if listing in {ignoring_after, with_one_prompt_missing}:  # on no page that can tell
            here.upstream.on_create = reset
        job_id = await doubtful(here, engine, size="720x1280")
        # A listing of which a part can't be read is read again before it is given up.
        await engine.pass_time(SETTLES_MAX * SETTLE_SECONDS + 5)

        await ended_unknown(here, engine, job_id)
        assert here.upstream.creations == 1
        assert here.upstream.count("list") < 300


async def test_without_a_listing_every_lost_create_ends_in_submission_unknown(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await refused(here)
        here.upstream.on_create = carried_out(here)
        jobs = [await doubtful(here, engine, f"fox {number}") for number in range(5)]
        await engine.pass_time(SETTLE_SECONDS + 5)

        for job_id in jobs:
            await ended_unknown(here, engine, job_id)
        assert here.upstream.creations == 5


# -- a listing that fails -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 503, 401, 403, 404, 405])
async def test_a_proven_listing_that_fails_is_asked_again_and_ends_nothing(
    tmp_path: Path, status: int
) -> None:
    async with proven(tmp_path) as (here, engine):
        here.upstream.on_create = carried_out(here)
        here.upstream.on_list = answers(status)
        job_id = await doubtful(here, engine)
        await engine.pass_time(1.5 * SETTLE_SECONDS)
        assert (await engine.job(job_id)).status is Status.SUBMITTING
        here.upstream.on_list = None
        await engine.pass_time(5)

        assert (await engine.job(job_id)).status is Status.QUEUED
        assert here.upstream.creations == 1


async def test_a_failing_page_is_asked_for_again_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.settled()
        here.upstream.on_create = carried_out(here)
        here.upstream.on_list = one_after_the_other(
            answers(500), reset, answers(200, b"{"), here.upstream.list_page
        )
        job_id = await engine.submit("a fox")
        await engine.settled()

        assert (await engine.job(job_id)).status is Status.QUEUED


async def test_a_retry_after_of_the_listing_is_honoured(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.settled()  # the listing was read once, since it is new to us
        here.upstream.forget_requests()
        here.upstream.on_create = carried_out(here)
        here.upstream.on_list = one_after_the_other(
            answers(429, None, {"Retry-After": "20"}), here.upstream.list_page
        )
        job_id = await engine.submit("a fox")
        await until(lambda: here.time.wakes_in(20))
        for _ in range(4):
            await engine.settled("resolve")
            here.time.advance(4.9)
        await engine.settled("resolve")
        assert here.upstream.count("list") == 1
        here.time.advance(0.5)
        await engine.job_when(job_id, Status.QUEUED)

        assert here.upstream.count("list") == 2


# -- a worker that died ---------------------------------------------------------------------------


async def died_between_intent_and_outcome(here: Stage, script: str) -> Job:
    """Leave a job as a worker does that is killed during the call to the provider."""
    async with here.engine(loops=frozenset()) as engine:
        job = await engine.job(await engine.submit(script, here.hook))
        provider = engine.provider.fingerprint
        after = tuple(await engine.store.newest_entries(job.account, provider, 5))
        intent = job.submitting(here.time.now(), fingerprint=provider, after=after)
        await engine.store.record([Change(intent)], None)
    return job


async def test_what_a_dead_worker_created_is_adopted(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        job = await died_between_intent_and_outcome(here, "a fox")
        here.upstream.add("found", prompt="a fox")
        async with here.engine() as engine:
            await engine.settled()

            assert (await engine.job(job.id)).provider_job_id == "found"
            assert here.upstream.creations == 0


async def test_a_create_that_a_stop_cut_off_is_adopted_and_not_repeated(tmp_path: Path) -> None:
    async with stage(tmp_path, submit_timeout_seconds=60) as here:
        here.upstream.on_create = carried_out(here, never())
        async with here.engine() as engine:
            job_id = await engine.submit("a fox")
            await until(lambda: here.upstream.videos)
        async with here.engine() as engine:
            await engine.settled()

            assert (await engine.job(job_id)).provider_job_id in here.upstream.videos
            assert here.upstream.creations == 1


async def test_a_dead_workers_settle_time_starts_when_it_is_replaced(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        async with here.engine() as engine:
            await asyncio.gather(engine.submit("known"), engine.submit("known too"))
            await engine.pass_time(5)
        job = await died_between_intent_and_outcome(here, "a fox")
        here.time.advance(3600)
        here.upstream.forget_requests()
        async with here.engine() as engine:
            await engine.pass_time(SETTLE_SECONDS - 1)
            assert here.upstream.creations == 0
            await engine.pass_time(1)

            assert (await engine.job(job.id)).status is Status.QUEUED
            assert here.upstream.creations == 1


async def test_a_job_whose_intent_is_just_being_stored_is_no_dead_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The write is in the store, and its answer not yet here: another loop may see it first.
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.settled()
        record, stored, held = engine.store.record, asyncio.Event(), asyncio.Event()

        async def held_back(*change: Any) -> list[str]:
            written = await record(*change)
            engine.loops["resolve"].signal.set()
            stored.set()
            await held.wait()
            return written

        engine.store.record = held_back  # type: ignore[method-assign, assignment] # the store, but slower
        job_id = await engine.submit("a fox")
        await stored.wait()
        await until(lambda: here.time.awaits(engine.loops["resolve"].signal))
        held.set()
        await engine.settled()

        job = await engine.job(job_id)
        assert (job.status, job.adopted, job.version) == (Status.QUEUED, False, 2)
