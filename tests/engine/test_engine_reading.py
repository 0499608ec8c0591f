"""How few requests a round takes, counted at the provider."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web
from engine_stage import Engine, Stage, stage
from engine_upstream import answers, reset

from reelhook.domain.job import Status

WATCH_ALONE = frozenset({"watch"})
PENDING_STATUSES = {Status.QUEUED, Status.PROCESSING}


def names(count: int, prefix: str = "ours") -> list[str]:
    return [f"{prefix}_{number:05}" for number in range(count)]


@asynccontextmanager
async def watching(
    tmp_path: Path, entries: Sequence[str], **options: Any
) -> AsyncIterator[tuple[Stage, list[str]]]:
    """A provider with these entries, oldest first; those called ours are jobs, not yet watched."""
    async with stage(tmp_path, **{"loops": WATCH_ALONE, **options}) as here:
        here.upstream.add(*entries)
        ours = [one for one in entries if one.startswith("ours")]
        async with here.engine(loops=frozenset()) as engine:
            await engine.register(ours)
        yield here, ours


def interleaved(ours: int, others: int, seed: int = 1) -> list[str]:
    marks = ["ours"] * ours + ["other"] * others
    Random(seed).shuffle(marks)
    left = {"ours": iter(names(ours)), "other": iter(names(others, "other"))}
    return [next(left[mark]) for mark in marks]


async def count_round(here: Stage, engine: Engine) -> tuple[int, int]:
    """Run the next round; return its list requests and its single reads."""
    here.upstream.forget_requests()
    here.time.advance(5)
    await engine.settled()
    return here.upstream.count("list"), here.upstream.count("get")


async def count_rounds(here: Stage, engine: Engine, rounds: int) -> list[tuple[int, int]]:
    await engine.settled()
    return [await count_round(here, engine) for _ in range(rounds)]


async def see_an_ending(here: Stage, engine: Engine, ours: Sequence[str]) -> None:
    """Every job, wherever it is read, must be seen to end in the next round."""
    here.upstream.change(*ours, status="completed")
    await count_round(here, engine)
    assert {job.status for job in await engine.jobs()} == {Status.COMPLETED}


@pytest.mark.parametrize(
    ("jobs", "reads"), [(1, (0, 1)), (2, (1, 0)), (100, (1, 0)), (101, (1, 1)), (1000, (10, 0))]
)
async def test_jobs_are_read_in_as_few_pages_as_they_fill(
    tmp_path: Path, jobs: int, reads: tuple[int, int]
) -> None:
    async with watching(tmp_path, names(jobs)) as (here, ours), here.engine() as engine:
        await engine.settled()
        assert (here.upstream.count("list"), here.upstream.count("get")) == reads
        assert await count_rounds(here, engine, 4) == [reads] * 4
        await see_an_ending(here, engine, ours)


@pytest.mark.parametrize(
    ("ours", "others", "pages"), [(100, 50, 2), (100, 100, 2), (1000, 200, 12)]
)
async def test_entries_of_others_in_between_cost_only_the_pages_they_fill(
    tmp_path: Path, ours: int, others: int, pages: int
) -> None:
    entries = interleaved(ours, others)
    async with watching(tmp_path, entries) as (here, jobs), here.engine() as engine:
        await engine.settled()
        assert here.upstream.count("list", "get") <= 2 * pages  # the order is not known yet
        assert await count_rounds(here, engine, 3) == [(pages, 0)] * 3
        await see_an_ending(here, engine, jobs)


async def test_finished_entries_between_pending_ones_are_skipped(tmp_path: Path) -> None:
    entries = [*names(500, "old"), *names(50), *names(900, "old too"), *names(50, "ours_newer")]
    async with watching(tmp_path, entries) as (here, jobs), here.engine() as engine:
        rounds = await count_rounds(here, engine, 12)
        assert max(sum(one) for one in rounds) <= 4  # while their places are learnt
        assert rounds[-2:] == [(2, 0)] * 2
        await see_an_ending(here, engine, jobs)


async def test_entries_finishing_meanwhile_cost_nothing(tmp_path: Path) -> None:
    async with watching(tmp_path, names(1000)) as (here, ours), here.engine() as engine:
        await engine.settled()
        finished, left = ours[:500], ours[500:]
        here.upstream.change(*finished, status="completed")
        await count_round(here, engine)
        assert await count_rounds(here, engine, 2) == [(5, 0)] * 2
        await see_an_ending(here, engine, left)


async def test_a_burst_of_others_entries_causes_no_single_reads(tmp_path: Path) -> None:
    async with watching(tmp_path, names(100)) as (here, ours), here.engine() as engine:
        await count_rounds(here, engine, 2)
        here.upstream.add(*names(500, "other"))
        rounds = await count_rounds(here, engine, 8)
        assert max(sum(one) for one in rounds) <= 3
        assert rounds[-2:] == [(1, 0)] * 2
        await see_an_ending(here, engine, ours)


@pytest.mark.parametrize(("jobs", "reads_max"), [(100, 3), (1000, 13)])
async def test_after_a_restart_jobs_behind_others_entries_are_found_again(
    tmp_path: Path, jobs: int, reads_max: int
) -> None:
    entries = [*names(jobs), *names(500, "other")]
    async with watching(tmp_path, entries) as (here, ours), here.engine() as engine:
        rounds = await count_rounds(here, engine, 8)
        assert max(sum(one) for one in rounds) <= reads_max
        assert rounds[-1] == (jobs // 100, 0)
        await see_an_ending(here, engine, ours)


async def test_new_jobs_do_not_make_the_reader_forget_the_others_places(tmp_path: Path) -> None:
    entries = interleaved(100, 100)
    async with watching(tmp_path, entries) as (here, ours), here.engine() as engine:
        await count_rounds(here, engine, 2)
        for number in range(3):
            new = names(2, f"ours_new_{number}")
            here.upstream.add(*new)
            await engine.register(new)
            await engine.settled()
            lists, gets = await count_round(here, engine)
            assert lists + gets <= 3
        await see_an_ending(here, engine, [*ours, *here.upstream.videos])


async def test_deleted_entries_cost_a_single_read_each_and_the_others_nothing(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, names(1000)) as (here, ours), here.engine() as engine:
        await count_rounds(here, engine, 2)
        for one in (ours[3], ours[500], ours[999]):
            del here.upstream.videos[one]
        rounds = await count_rounds(here, engine, 4)
        assert max(sum(one) for one in rounds) <= 16
        assert rounds[-1] == (10, 3)
        here.upstream.change(*here.upstream.videos, status="completed")
        await count_round(here, engine)
        assert sum(job.status is Status.COMPLETED for job in await engine.jobs()) == 997


async def test_a_server_that_gives_smaller_pages_is_asked_for_as_many_more(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, names(100)) as (here, ours), here.engine() as engine:
        here.upstream.page_size_max = 20
        await count_rounds(here, engine, 1)
        assert await count_rounds(here, engine, 3) == [(5, 0)] * 3
        await see_an_ending(here, engine, ours)


async def test_one_page_that_is_too_short_is_not_held_against_the_listing(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, names(300)) as (here, ours), here.engine() as engine:
        await count_rounds(here, engine, 1)
        here.upstream.page_size_max = 1
        await count_round(here, engine)
        here.upstream.page_size_max = 100
        await count_rounds(here, engine, 2)
        assert await count_rounds(here, engine, 2) == [(3, 0)] * 2
        await see_an_ending(here, engine, ours)


@pytest.mark.long
@pytest.mark.parametrize("others", [0, 250])
@pytest.mark.parametrize("jobs", [2, 30, 101, 300])
async def test_a_listing_without_our_jobs_is_left_alone_for_ten_minutes(
    tmp_path: Path, jobs: int, others: int
) -> None:
    entries = interleaved(jobs, others)
    async with watching(tmp_path, entries) as (here, ours), here.engine() as engine:
        here.upstream.listed = lambda video: video.id.startswith("other")
        await count_rounds(here, engine, 1)
        assert await count_rounds(here, engine, 3) == [(0, jobs)] * 3
        here.time.advance(600)
        await engine.settled()
        lists, gets = await count_round(here, engine)
        assert lists >= 1  # maybe it shows them by now
        assert gets == jobs
        await see_an_ending(here, engine, ours)


async def test_of_a_listing_that_shows_the_newest_alone_the_rest_is_read_singly(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, names(300)) as (here, ours), here.engine() as engine:
        newest = set(ours[-100:])
        here.upstream.listed = lambda video: video.id in newest
        await count_rounds(here, engine, 3)
        assert await count_rounds(here, engine, 2) == [(1, 200)] * 2
        await see_an_ending(here, engine, ours)


async def test_of_a_listing_that_ignores_its_cursor_the_rest_is_read_singly(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, names(150)) as (here, ours), here.engine() as engine:
        here.upstream.heeds_after = False
        await count_rounds(here, engine, 3)
        assert await count_rounds(here, engine, 2) == [(1, 50)] * 2
        await see_an_ending(here, engine, ours)


async def test_a_listing_in_ascending_order_takes_as_few_pages(tmp_path: Path) -> None:
    async with watching(tmp_path, interleaved(100, 100)) as (here, ours), here.engine() as engine:
        here.upstream.newest_first = False
        await count_rounds(here, engine, 2)
        assert await count_rounds(here, engine, 2) == [(2, 0)] * 2
        await see_an_ending(here, engine, ours)


async def test_a_listing_that_shows_no_status_is_left_alone(tmp_path: Path) -> None:
    async with watching(tmp_path, names(50)) as (here, ours), here.engine() as engine:
        here.upstream.shows = lambda video: {**video, "status": None}
        await count_rounds(here, engine, 2)
        assert await count_rounds(here, engine, 2) == [(0, 50)] * 2
        await see_an_ending(here, engine, ours)


@pytest.mark.parametrize("status", [405, 404, 403, 501])
async def test_a_refused_listing_is_left_alone_for_ten_minutes(tmp_path: Path, status: int) -> None:
    async with watching(tmp_path, names(100)) as (here, ours), here.engine() as engine:
        here.upstream.on_list = answers(status)
        await engine.settled()
        assert (here.upstream.count("list"), here.upstream.count("get")) == (1, 100)
        assert await count_rounds(here, engine, 3) == [(0, 100), (0, 0), (0, 100)]  # less often
        here.upstream.on_list = None
        here.time.advance(600)
        await engine.settled()
        assert await count_rounds(here, engine, 1) == [(1, 0)]
        await see_an_ending(here, engine, ours)


@pytest.mark.parametrize("how", [answers(500), answers(200, b"{"), reset], ids=["500", "{", "RST"])
async def test_a_listing_that_fails_for_ever_is_soon_left_alone(tmp_path: Path, how: Any) -> None:
    async with watching(tmp_path, names(100)) as (here, ours), here.engine() as engine:
        here.upstream.on_list = how
        await count_rounds(here, engine, 2)
        rounds = await count_rounds(here, engine, 3)
        assert [pages for pages, _ in rounds] == [0, 0, 0]
        assert [singles > 90 for _, singles in rounds] == [True, False, True]  # less often
        here.upstream.change(*ours, status="completed")
        await engine.pass_time(25)
        assert {job.status for job in await engine.jobs()} == {Status.COMPLETED}


async def test_pages_that_fail_for_ever_starve_no_job(tmp_path: Path) -> None:
    # As where a deep page takes the server too long.
    async with watching(tmp_path, names(300)) as (here, ours), here.engine() as engine:

        async def first_page_alone(request: web.Request) -> web.StreamResponse:
            failing = "after" in request.query
            return await (answers(500) if failing else here.upstream.list_page)(request)

        here.upstream.on_list = first_page_alone
        await count_rounds(here, engine, 3)
        await see_an_ending(here, engine, ours)


async def test_an_upstream_that_is_down_is_not_stormed(tmp_path: Path) -> None:
    async with watching(tmp_path, names(300)) as (here, ours), here.engine() as engine:
        here.upstream.on_list = here.upstream.on_get = answers(503)
        rounds = await count_rounds(here, engine, 6)
        assert max(sum(one) for one in rounds) <= 8
        assert {job.status for job in await engine.jobs()} <= PENDING_STATUSES
        here.upstream.on_list = here.upstream.on_get = None
        await see_an_ending(here, engine, ours)


async def test_a_single_failing_page_is_asked_for_again_in_the_same_round(tmp_path: Path) -> None:
    async with watching(tmp_path, names(100)) as (here, ours), here.engine() as engine:
        await engine.settled()
        failed = asyncio.Event()

        async def fail_once(request: web.Request) -> web.StreamResponse:
            if failed.is_set():
                return await here.upstream.list_page(request)
            failed.set()
            return await answers(500)(request)

        here.upstream.on_list = fail_once
        await see_an_ending(here, engine, ours)
