"""The watched jobs in memory between rounds: never anything else than what the store has."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from engine_stage import stage, until

from reelhook.domain.job import Job, Status
from reelhook.domain.report import Progress
from reelhook.domain.request import VideoRequest
from reelhook.engine.polling.pending_jobs import PendingJobsCache
from reelhook.engine.polling.read_limiter import READS_AT_ONCE
from reelhook.ports import Change, Lease, NewJob
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

WATCH_ALONE = frozenset({"watch"})


class Counting(Store):
    """Counts the whole rows that are read, and what is written of jobs."""

    def __init__(self, database: SQLite) -> None:
        super().__init__(database)
        self.read: list[str] = []
        self.recorded: list[str] = []
        self.rounds = 0

    async def record(self, changes: Sequence[Change], lease: Lease | None = None) -> list[str]:
        self.recorded += [change.job.id for change in changes]
        return await super().record(changes, lease)

    async def record_round(self, account: str, now: int, lease: Lease | None = None) -> None:
        self.rounds += 1
        await super().record_round(account, now, lease)

    async def jobs_to_watch(self, account: str) -> list[Job]:
        jobs = await super().jobs_to_watch(account)
        self.read += [job.id for job in jobs]
        return jobs

    async def watched_jobs(self, job_ids: Sequence[str]) -> list[Job]:
        jobs = await super().watched_jobs(job_ids)
        self.read += [job.id for job in jobs]
        return jobs


async def test_what_has_not_changed_is_not_read_anew(tmp_path: Path) -> None:
    async with stage(tmp_path, store=Counting, loops=frozenset()) as here, here.engine() as engine:
        store = engine.store
        assert isinstance(store, Counting)
        await engine.register([f"job_{number}" for number in range(8)])
        watched = PendingJobsCache(store, "openai")
        assert len(await watched.refresh()) == 8
        store.read.clear()
        again = await watched.refresh()
        assert (len(again), store.read) == (8, [])

        changed = (await engine.job("job_3")).apply(
            Progress(running=True, percent=40), here.time.now()
        )
        await store.record([Change(*changed, (b"{}",))], None)
        assert (await watched.refresh())["job_3"].progress == 40
        assert store.read == ["job_3"]


async def test_changes_that_a_round_has_recorded_are_not_read_again(tmp_path: Path) -> None:
    async with stage(tmp_path, store=Counting, loops=WATCH_ALONE) as here, here.engine() as engine:
        store = engine.store
        assert isinstance(store, Counting)
        ids = [f"job_{number}" for number in range(8)]
        here.upstream.add(*ids, status="in_progress", progress=10)
        await engine.register(ids)
        await engine.pass_time(10)
        store.read.clear()
        store.recorded.clear()
        for progress in (20, 30):
            here.upstream.change("job_2", "job_5", progress=progress)
            await engine.pass_time(5)
        here.upstream.change("job_5", status="completed", progress=100)
        await engine.pass_time(10)

        assert store.recorded == ["job_5", "job_2"] * 2 + ["job_5"]
        assert store.read == []
        assert (await engine.job("job_2")).progress == 30


async def test_a_job_that_was_changed_again_elsewhere_is_read(tmp_path: Path) -> None:
    async with stage(tmp_path, store=Counting, loops=frozenset()) as here, here.engine() as engine:
        store = engine.store
        assert isinstance(store, Counting)
        await engine.register([f"job_{number}" for number in range(8)])
        watched = PendingJobsCache(store, "openai")
        order = list(await watched.refresh())
        for percent in (40, 70):
            changed = (await engine.job("job_3")).apply(
                Progress(running=True, percent=percent), here.time.now()
            )
            await store.record([Change(*changed, (b"{}",))], None)
            if percent == 40:
                watched.update([await engine.job("job_3")])
        store.read.clear()

        jobs = await watched.refresh()

        assert (jobs["job_3"].progress, store.read) == (70, ["job_3"])
        assert list(jobs) == order


async def test_the_order_is_that_of_acceptance_whatever_comes_and_goes(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=frozenset()) as here, here.engine() as engine:
        watched = PendingJobsCache(engine.store, "openai")
        for number in range(12):
            here.time.advance(1)
            await engine.register([f"job_{number}"])
        assert list(await watched.refresh()) == [f"job_{number}" for number in range(11, -1, -1)]
        await engine.service.cancel("job_5", force=True)
        here.time.advance(1)
        await engine.register(["job_12"])

        now = list(await watched.refresh())

        stored = [job.id for job in await engine.store.jobs_to_watch("openai")]
        assert now == stored == [f"job_{number}" for number in range(12, -1, -1) if number != 5]


async def test_a_job_that_ended_elsewhere_between_two_rounds_stays_ended(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "b", status="in_progress", progress=10)
        await engine.register(["a", "b"])
        await engine.pass_time(5)
        # As another process would: the loops of this one hear nothing of it.
        canceled = (await engine.job("a")).cancel(here.time.now())
        await engine.store.record([Change(*canceled, (b"{}",))], None)
        here.upstream.change("a", "b", progress=60)
        await engine.pass_time(10)

        assert (await engine.job("a")).status is Status.CANCELED
        assert (await engine.job("b")).progress == 60


async def test_a_round_without_changes_writes_that_it_was_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, store=Counting, loops=WATCH_ALONE) as here, here.engine() as engine:
        store = engine.store
        assert isinstance(store, Counting)
        ids = [f"job_{number:03d}" for number in range(150)]
        here.upstream.add(*ids, status="in_progress", progress=10)
        await engine.register(ids)
        await engine.pass_time(15)
        store.read.clear()
        store.recorded.clear()
        store.rounds = 0
        versions = await store.versions_to_watch("openai")

        await engine.pass_time(15)

        assert (store.rounds, store.recorded, store.read) == (3, [], [])
        assert await store.versions_to_watch("openai") == versions


async def test_the_first_checks_of_many_new_jobs_read_each_row_once(tmp_path: Path) -> None:
    async with stage(tmp_path, store=Counting, loops=WATCH_ALONE) as here, here.engine() as engine:
        store = engine.store
        assert isinstance(store, Counting)
        ids = [f"job_{number}" for number in range(20)]
        here.upstream.add(*ids, status="in_progress", progress=10)
        await engine.settled()
        for job_id in ids:
            await engine.register([job_id])
            await engine.settled()
        assert sorted(store.read) == sorted(ids)


async def test_a_job_accepted_elsewhere_between_two_rounds_is_in_the_next(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", status="in_progress", progress=10)
        await engine.register(["a"])
        await engine.pass_time(10)
        at = here.time.now()
        here.upstream.add("b", status="in_progress", progress=30)
        job = Job("b", "openai", Status.ACCEPTED, at, at).accept("b", at)
        await engine.store.create(NewJob(job, VideoRequest(prompt="x", model="sora-2"), None, ()))
        await engine.pass_time(5)
        assert (await engine.job("b")).progress == 30
        assert (await engine.job("a")).progress == 10


async def test_when_the_last_job_has_ended_none_is_watched(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=frozenset()) as here, here.engine() as engine:
        watched = PendingJobsCache(engine.store, "openai")
        assert not await watched.refresh()
        await engine.register(["a"])
        assert list(await watched.refresh()) == ["a"]
        await engine.service.cancel("a", force=True)
        assert not await watched.refresh()


async def test_what_is_written_between_the_two_looks_is_seen_by_the_next(tmp_path: Path) -> None:
    class Meanwhile(Store):
        async def watched_jobs(self, job_ids: Sequence[str]) -> list[Job]:
            found = await super().watched_jobs(job_ids)
            if found[0].progress == 40:
                changed = found[0].apply(Progress(running=True, percent=70), found[0].updated_at)
                await self.record([Change(*changed, (b"{}",))], None)
            return found

    async with (
        stage(tmp_path, store=Meanwhile, loops=frozenset()) as here,
        here.engine() as engine,
    ):
        await engine.register([f"job_{number}" for number in range(8)])
        watched = PendingJobsCache(engine.store, "openai")
        await watched.refresh()
        changed = (await engine.job("job_3")).apply(
            Progress(running=True, percent=40), here.time.now()
        )
        await engine.store.record([Change(*changed, (b"{}",))], None)
        assert (await watched.refresh())["job_3"].progress == 40
        assert (await watched.refresh())["job_3"].progress == 70


async def test_a_round_that_is_due_waits_until_the_one_before_has_asked_for_all_and_says_so(
    tmp_path: Path,
) -> None:
    async with (
        stage(tmp_path, loops=WATCH_ALONE | {"account_status"}) as here,
        here.engine() as engine,
    ):
        pages = READS_AT_ONCE + 2
        ids = [f"job_{number:04d}" for number in range(pages * 10)]
        here.upstream.page_size_max = 10
        here.upstream.add(*ids, status="in_progress", progress=10)
        await engine.register(ids)
        await engine.pass_time(10)
        assert engine.health["openai"].stretched_seconds is None
        go_on = asyncio.Event()

        async def held(request: web.Request) -> web.StreamResponse:
            await go_on.wait()
            return await here.upstream.list_page(request)

        here.upstream.on_list = held
        here.upstream.forget_requests()
        here.time.advance(5)
        await until(lambda: here.upstream.count("list") == READS_AT_ONCE)
        here.time.advance(7)
        await until(lambda: here.time.awaits(engine.loops["watch"].signal))
        assert here.upstream.count("list") == READS_AT_ONCE
        go_on.set()
        await engine.settled()

        (told,) = [one for one in here.logs if one["event"] == "watch.stretched"]
        assert (told["seconds"], told["wanted_seconds"], told["jobs"]) == (7.0, 5.0, len(ids))
        [account] = (await engine.operations.stats())["accounts"]
        assert account["stretched_seconds"] == 7.0
        await engine.pass_time(5)
        assert [one["event"] for one in here.logs].count("watch.on_pace") == 1
        assert engine.health["openai"].stretched_seconds is None
