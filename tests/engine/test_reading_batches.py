"""Providers that read many jobs at once by their ids, and those that want time between looks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from engine_stage import ACCOUNT, Engine, Played, Stage, stage, until
from engine_upstream import Upstream, answers, one_after_the_other

from reelhook.domain.catalog import Account
from reelhook.domain.job import Status
from reelhook.domain.report import Reading
from reelhook.ports import Capabilities
from reelhook.providers.http.error_mapping import read_error
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.openai.provider import OpenAI
from reelhook.providers.openai.video import page

ACCOUNTS = Account(ACCOUNT, "openai")


class Batching(OpenAI):
    """The OpenAI wire with one request more, for up to three videos."""

    traits = Capabilities(batch_max=3, page_size_max=100)

    async def get_many(self, provider_job_ids: Sequence[str]) -> Mapping[str, Reading]:
        answer = await self.ask("GET", f"videos?limit=100&ids={','.join(provider_job_ids)}")
        if not answer.ok:
            raise read_error(answer, self.now())
        shown = page(answer.fields(), 100, lambda one: f"{self.base}/{one}")
        assert shown is not None
        return {one.provider_job_id: Reading(one.report) for one in shown.entries}


class Unhurried(OpenAI):
    """A server that may be asked about a video every ten seconds, and has no listing."""

    traits = Capabilities(poll_seconds_min=10.0)


def names(count: int) -> list[str]:
    return [f"ours_{number}" for number in range(count)]


def by_ids(upstream: Upstream) -> list[str]:
    """Let the listing return the videos that are requested. Return these requests."""
    asked: list[str] = []

    async def tell(request: web.Request) -> web.StreamResponse:
        asked.append(request.query["ids"])
        wanted = request.query["ids"].split(",")
        found = [video.shown() for one, video in upstream.videos.items() if one in wanted]
        return web.json_response({"object": "list", "data": found, "has_more": False})

    upstream.on_list = tell
    return asked


@asynccontextmanager
async def watching(
    tmp_path: Path, kind: type[HttpProvider], jobs: int
) -> AsyncIterator[tuple[Stage, Engine]]:
    """An engine that watches so many jobs and has read each of them once."""
    async with stage(tmp_path, accounts=(Played(ACCOUNTS, kind),)) as here:
        here.upstream.add(*names(jobs))
        by_ids(here.upstream)
        async with here.engine(loops=frozenset()) as engine:
            await engine.register(names(jobs))
        async with here.engine(loops=frozenset({"watch"})) as engine:
            await engine.settled()
            yield here, engine


async def next_round(here: Stage, engine: Engine, seconds: float = 5) -> tuple[int, int]:
    """Run the next round; return how often it asked for many, and for one."""
    here.upstream.forget_requests()
    here.time.advance(seconds)
    await engine.settled()
    return here.upstream.count("list"), here.upstream.count("get")


async def test_jobs_are_asked_for_by_as_many_ids_as_the_provider_takes(tmp_path: Path) -> None:
    async with watching(tmp_path, Batching, 6) as (here, engine):
        asked = by_ids(here.upstream)
        here.upstream.change(*names(6), status="completed")
        assert await next_round(here, engine) == (2, 0)
        assert sorted(len(ids.split(",")) for ids in asked) == [3, 3]
        assert sorted(",".join(asked).split(",")) == names(6)
        assert {job.status for job in await engine.jobs()} == {Status.COMPLETED}


async def test_one_that_is_left_over_is_read_by_itself(tmp_path: Path) -> None:
    async with watching(tmp_path, Batching, 4) as (here, engine):
        assert await next_round(here, engine) == (1, 1)


async def test_what_a_batch_does_not_tell_is_read_singly(tmp_path: Path) -> None:
    async with watching(tmp_path, Batching, 3) as (here, engine):
        here.upstream.change(*names(3), status="completed")
        shown = [here.upstream.videos["ours_0"].shown()]
        here.upstream.on_list = answers(200, {"object": "list", "data": shown})
        assert await next_round(here, engine) == (1, 2)
        assert {job.status for job in await engine.jobs()} == {Status.COMPLETED}


async def test_a_batch_that_fails_is_over_for_this_round_and_the_others_are_not(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, Batching, 6) as (here, engine):
        by_ids(here.upstream)
        assert here.upstream.on_list is not None
        told = here.upstream.on_list
        here.upstream.change(*names(6), status="completed")
        here.upstream.on_list = one_after_the_other(answers(500, {}), told)
        assert await next_round(here, engine) == (2, 0)
        ended = [job.id for job in await engine.jobs() if job.status is Status.COMPLETED]
        assert len(ended) == 3
        assert await next_round(here, engine) == (1, 0)
        assert {job.status for job in await engine.jobs()} == {Status.COMPLETED}


async def test_where_only_batches_fail_again_and_again_jobs_are_read_singly(tmp_path: Path) -> None:
    async with watching(tmp_path, Batching, 6) as (here, engine):
        here.upstream.on_list = answers(500, {})
        assert [await next_round(here, engine) for _ in range(2)] == [(2, 0), (2, 0)]
        here.upstream.change(*names(6), status="completed")
        here.upstream.on_get = answers(500, {})
        assert await next_round(here, engine) == (2, 1)  # all is down: a single read shows that
        here.upstream.on_get = None
        assert await next_round(here, engine) == (2, 6)
        assert {job.status for job in await engine.jobs()} == {Status.COMPLETED}


async def test_a_provider_that_refuses_for_a_while_is_left_alone_for_it(tmp_path: Path) -> None:
    async with watching(tmp_path, Batching, 3) as (here, engine):
        told = here.upstream.on_list
        assert told is not None
        here.upstream.on_list = answers(429, {}, {"Retry-After": "12"})
        assert await next_round(here, engine) == (1, 0)
        here.upstream.on_list = told
        here.upstream.forget_requests()
        for _ in range(2):
            here.time.advance(5)
            await until(lambda: here.time.awaits(engine.loops["watch"].signal))
        assert not here.upstream.asked
        here.time.advance(2)
        await engine.settled()
        assert here.upstream.count("list") >= 1


async def test_the_listing_is_not_read_where_ids_can_be_asked_for(tmp_path: Path) -> None:
    async with watching(tmp_path, Batching, 300) as (here, engine):
        asked = by_ids(here.upstream)
        assert await next_round(here, engine) == (100, 0)
        assert len(asked) == 100


async def test_without_listing_and_batches_each_job_is_read_by_itself(tmp_path: Path) -> None:
    async with watching(tmp_path, Unhurried, 4) as (here, engine):
        assert await next_round(here, engine) == (0, 0)
        assert await next_round(here, engine) == (0, 4)


async def test_a_round_right_after_a_first_check_leaves_its_job_out(tmp_path: Path) -> None:
    loops = frozenset({"submit", "watch"})
    played = (Played(ACCOUNTS, Unhurried),)
    async with stage(tmp_path, accounts=played, loops=loops) as here, here.engine() as engine:
        await engine.settled()
        await engine.pass_time(8)
        job_id = await engine.submit("a fox")
        await engine.settled()
        assert here.upstream.count("get") == 1  # the first check
        [video] = here.upstream.videos
        here.upstream.change(video, status="completed")
        await engine.pass_time(9)  # a round among them
        assert here.upstream.count("get") == 1
        await engine.pass_time(4)
        assert here.upstream.count("get") == 2
        assert (await engine.job(job_id)).status is Status.COMPLETED
