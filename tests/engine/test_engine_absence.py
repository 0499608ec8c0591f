"""When a lost create is sent again: with real reads of listings that are not what they seem."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import ACCOUNT, Engine, Played, Stage, stage, until
from engine_upstream import Video, one_after_the_other, reset

from reelhook.domain.catalog import Account
from reelhook.domain.job import Status
from reelhook.providers.openai.provider import OpenAI

SETTLE_SECONDS = 60
HOUR = 3600


@asynccontextmanager
async def usual(
    tmp_path: Path, *, before: int = 3, **options: Any
) -> AsyncIterator[tuple[Stage, Engine]]:
    """An engine whose account had some jobs, an hour between two of them."""
    async with stage(tmp_path, **options) as here, here.engine() as engine:
        await engine.settled()
        for number in range(before):
            here.time.advance(HOUR)
            await engine.submit(f"an ordinary video, number {number}")
            await engine.settled()
        here.upstream.forget_requests()
        yield here, engine


async def lose(here: Stage, engine: Engine, *, made: bool, script: str = "a fox") -> str:
    """Submit a job whose create is carried out, or not, and never answered."""

    async def lost(request: web.Request) -> web.StreamResponse:
        if made:
            here.upstream.create(await request.json())
        return await reset(request)

    here.upstream.on_create = one_after_the_other(lost, here.upstream.take)
    job_id = await engine.submit(script)

    async def unresolved() -> bool:
        return (await engine.job(job_id)).doubt_since is not None

    await until(unresolved)
    return job_id


def shown(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Stage], None]:
    def apply(here: Stage) -> None:
        here.upstream.shows = change

    return apply


def clock(minutes: int) -> Callable[[Stage], None]:
    return shown(lambda video: {**video, "created_at": video["created_at"] + 60 * minutes})


def ascending(here: Stage) -> None:
    here.upstream.newest_first = False


def timeless(here: Stage) -> None:
    here.upstream.shows = lambda video: {k: v for k, v in video.items() if k != "created_at"}


HONEST = [clock(0), clock(-5), clock(5), clock(-600), ascending, timeless]


@pytest.mark.parametrize("listing", HONEST)
@pytest.mark.parametrize("before", [1, 3])
async def test_with_one_job_an_hour_every_lost_create_is_found_or_sent_again(
    tmp_path: Path, listing: Callable[[Stage], None], before: int
) -> None:
    async with usual(tmp_path, before=before) as (here, engine):
        listing(here)
        for made, creates in ((True, 1), (False, 2)):
            here.time.advance(HOUR)
            here.upstream.forget_requests()
            job_id = await lose(here, engine, made=made, script=f"a fox, {made}")
            await engine.pass_time(SETTLE_SECONDS + 10)
            job = await engine.job(job_id)
            assert (job.status, job.adopted) == (Status.QUEUED, made)
            assert here.upstream.creations == creates


PROMPTS = {
    "extended": lambda text: f"Cinematic. {text}",
    "cut off": lambda text: text[:3],
    "masked": lambda _: "***",
    "upper case": str.upper,
    "another language": lambda text: text[::-1],
    "hidden": lambda _: None,
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
async def test_a_video_under_another_prompt_is_never_created_twice(
    tmp_path: Path, prompts: Callable[[str], str | None]
) -> None:
    async with usual(tmp_path) as (here, engine):
        # Only this one's: the others are shown word for word.
        here.upstream.shows = lambda video: {
            **video,
            "prompt": prompts(video["prompt"]) if "fox" in video["prompt"] else video["prompt"],
        }
        job_id = await lose(here, engine, made=True)
        await engine.pass_time(3 * SETTLE_SECONDS)
        job = await engine.job(job_id)
        assert (job.status, job.code) == (Status.FAILED, "submission_unknown")
        assert "a video that may be this one" in (job.error or "")
        assert here.upstream.creations == 1


async def test_a_create_that_was_sent_to_another_server_is_never_proven_absent(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path / "one") as other, stage(tmp_path) as here:
        other.upstream.add("theirs", prompt="of others")
        async with here.engine() as engine:
            await engine.submit("an ordinary video")
            await engine.settled()
            job_id = await lose(here, engine, made=True)
            here.upstream.videos.clear()
        async with here.engine(base_url=other.upstream.url, seed=2) as engine:
            await engine.submit("an ordinary video of the other server")
            await engine.pass_time(5 * SETTLE_SECONDS)
            job = await engine.job(job_id)
            assert (job.status, job.code) == (Status.FAILED, "submission_unknown")
            assert "another server" in (job.error or "")
            assert other.upstream.creations == 1


async def test_what_one_server_showed_is_not_believed_of_another(tmp_path: Path) -> None:
    async with stage(tmp_path / "one") as other, stage(tmp_path) as here:
        async with here.engine() as engine:
            await engine.submit("an ordinary video")
            await engine.settled()
            facts = await engine.store.listing_facts(ACCOUNT)
            assert facts is not None
            assert facts.models
        other.upstream.listed = lambda _: False  # it lists elsewhere
        async with here.engine(base_url=other.upstream.url, seed=2) as engine:
            job_id = await lose(other, engine, made=True)
            await engine.pass_time(5 * SETTLE_SECONDS)
            assert (await engine.job(job_id)).code == "submission_unknown"
            assert other.upstream.creations == 1


async def test_a_listing_that_is_late_is_waited_for_as_long_as_it_needs(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.settled()
        late = 40

        def is_listed(video: Video) -> bool:
            return here.time.unix_seconds() - video.created_at >= late

        here.upstream.listed = is_listed
        await engine.submit("an ordinary video")
        await engine.pass_time(late + 30)
        facts = await engine.store.listing_facts(ACCOUNT)
        assert facts is not None
        assert late * 1000 <= (facts.delay_max or 0) <= 1.8 * late * 1000
        late = 100  # later than ever before
        job_id = await lose(here, engine, made=True)
        await engine.pass_time(late + 10)
        assert (await engine.job(job_id)).status is Status.QUEUED
        assert here.upstream.creations == 2
        facts = await engine.store.listing_facts(ACCOUNT)
        assert facts is not None
        assert (facts.delay_max or 0) >= (late - 5) * 1000


async def test_a_listing_that_shows_no_running_video_proves_nothing(tmp_path: Path) -> None:
    async with usual(tmp_path) as (here, engine):
        for video in list(here.upstream.videos):
            here.upstream.change(video, status="completed", progress=100)
        await engine.pass_time(5)
        here.upstream.listed = lambda video: video.status == "completed"
        await engine.submit("another ordinary video, which runs")
        await engine.settled()
        job_id = await lose(here, engine, made=True)
        await engine.pass_time(5 * SETTLE_SECONDS)
        job = await engine.job(job_id)
        assert (job.status, job.code) == (Status.FAILED, "submission_unknown")
        assert here.upstream.creations == 2


async def test_the_first_lost_create_of_a_model_ends_unknown(tmp_path: Path) -> None:
    async with usual(tmp_path) as (here, engine):
        here.upstream.on_create = reset
        job_id = await engine.submit("a fox", model="sora-2-pro")
        await engine.pass_time(3 * SETTLE_SECONDS)
        job = await engine.job(job_id)
        assert (job.code, "of this model" in (job.error or "")) == ("submission_unknown", True)


# -- two accounts of one server --------------------------------------------------------------------

TWO = (Played(Account("one", "openai")), Played(Account("two", "openai")))


async def test_an_identical_create_of_another_account_in_flight_keeps_its_entry(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, accounts=TWO, submit_timeout_seconds=50) as here, here.engine() as e:
        for model in ("one/sora-2", "two/sora-2"):
            await e.submit("an ordinary video", model=model)
        await e.settled()
        here.upstream.forget_requests()
        gate, created = asyncio.Event(), asyncio.Event()

        async def slowly(request: web.Request) -> web.StreamResponse:
            video = here.upstream.create(await request.json())
            created.set()
            await gate.wait()
            return web.json_response(video.shown())

        here.upstream.on_create = one_after_the_other(slowly, reset, here.upstream.take)
        second = await e.submit("a fox", model="two/sora-2")
        await created.wait()
        first = await e.submit("a fox", model="one/sora-2")

        async def unresolved() -> bool:
            return (await e.job(first)).doubt_since is not None

        await until(unresolved)
        for _ in range(10):  # the other one's entry is in the listing all the time
            await e.settled("submit:two", "submit")
            here.time.advance(2)
        assert (await e.job(first)).status is Status.SUBMITTING
        gate.set()
        await e.job_when(second, Status.QUEUED)
        await e.pass_time(2 * SETTLE_SECONDS)
        jobs = [await e.job(one) for one in (first, second)]
        assert {job.status for job in jobs} == {Status.QUEUED}
        assert len({job.provider_job_id for job in jobs}) == 2
        assert here.upstream.creations == 3


async def test_accounts_of_different_servers_have_nothing_to_do_with_each_other(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path / "one") as other, stage(tmp_path) as here:
        accounts = (
            Played(Account("one", "openai")),
            Played(Account("two", "openai"), OpenAI, other.upstream.url),
        )
        async with here.engine(accounts=accounts) as engine:
            for model in ("one/sora-2", "two/sora-2"):
                await engine.submit("an ordinary video", model=model)
            await engine.settled()
            here.upstream.on_create = one_after_the_other(reset, here.upstream.take)
            other.upstream.on_create = one_after_the_other(reset, other.upstream.take)
            jobs = [await engine.submit("a fox", model=one) for one in ("one/sora-2", "two/sora-2")]
            await engine.pass_time(SETTLE_SECONDS + 10)
            for job_id in jobs:
                assert (await engine.job(job_id)).status is Status.QUEUED
            assert here.upstream.creations == other.upstream.creations == 3
