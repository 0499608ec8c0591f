"""Watch: rounds at a constant pace, and what comes of what the provider says."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import stage, until
from engine_upstream import answers, never, one_after_the_other

from reelhook.domain.errors import StoreError
from reelhook.domain.job import Status
from reelhook.ports import Change, Lease
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

WATCH_ALONE = frozenset({"watch", "account_status"})


async def test_unchanged_jobs_cost_no_write_but_the_rounds_time(tmp_path: Path) -> None:
    class CountingDatabase:
        def __init__(self, database: SQLite) -> None:
            self.written: list[str] = []
            self._write = database.write
            self.read, self.background = database.read, database.background
            self.close = database.close

        async def write(self, make: Any, conflict_keys: Any = None) -> Any:
            self.written.append(make.func.__name__)
            return await self._write(make, conflict_keys)

    class Counting(Store):
        def __init__(self, database: SQLite) -> None:
            counting = CountingDatabase(database)
            super().__init__(counting)
            self.written = counting.written

    async with stage(tmp_path, store=Counting, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "b", "c", status="in_progress", progress=40)
        await engine.register(["a", "b", "c"], here.hook)
        await engine.pass_time(5)
        assert isinstance(engine.store, Counting)
        before = await engine.jobs()
        engine.store.written.clear()
        await engine.pass_time(20)

        assert engine.store.written == ["record_round"] * 4
        assert await engine.jobs() == before


async def test_the_pace_is_constant_whatever_a_round_takes(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "b")
        await engine.register(["a", "b"])
        await engine.settled()
        start, seen = here.time.now(), []

        async def note(request: web.Request) -> web.StreamResponse:
            seen.append((here.time.now() - start) / 1000)
            return await here.upstream.list_page(request)

        here.upstream.on_list = note
        for _ in range(200):  # a second at a time, and never where a round begins
            here.time.advance(0.7)
            await engine.settled()

        late = [at % 5 for at in seen]
        assert [at // 5 for at in seen] == list(range(1, 28 + 1))
        assert max(late) < 0.7


async def test_missed_rounds_are_not_made_up_for(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "b")
        await engine.register(["a", "b"])
        await engine.settled()
        here.upstream.forget_requests()
        here.time.advance(3600)
        await engine.settled()
        assert here.upstream.count("list") == 1
        here.time.advance(5)
        await engine.settled()

        assert here.upstream.count("list") == 2


async def test_a_clock_that_is_set_back_stops_no_rounds(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "b")
        await engine.register(["a", "b"])
        await engine.settled()
        here.time.advance(-3600)
        engine.loops["watch"].signal.set()  # or within one interval, by itself
        await engine.settled()
        here.upstream.forget_requests()
        await engine.pass_time(20)

        assert here.upstream.count("list") == 4


async def test_jobs_created_together_share_their_first_checks(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.settled()
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(engine.submit(f"fox {number}"))
        await engine.settled()

        assert here.upstream.creations == 100
        assert 1 <= here.upstream.count("list", "get") <= 50
        checked = {one.about for one in here.upstream.asked if one.kind == "get"}
        assert here.upstream.count("list") or len(checked) == 100


async def test_the_first_check_comes_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.settled()
        here.upstream.on_get = answers(200, {"status": "in_progress", "progress": 7})
        job_id = await engine.submit("a fox", here.hook)
        await engine.settled()  # though no time passes

        assert (await engine.job(job_id)).progress == 7
        (webhook,) = here.receivers.webhooks
        assert (webhook.body["status"], webhook.body["progress"]) == ("processing", 7)


async def test_each_change_is_an_event_in_order_and_the_last_one_ends_the_job(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.add("a")
        await engine.register(["a"], here.hook)
        for status, progress in (("in_progress", 10), ("in_progress", 60), ("completed", 100)):
            here.upstream.change("a", status=status, progress=progress)
            await engine.pass_time(5)

        bodies = [one.body for one in here.receivers.webhooks]
        assert [body["sequence"] for body in bodies] == [1, 2, 3]
        assert [body["status"] for body in bodies] == ["processing", "processing", "completed"]


# -- without a listing ----------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "reads_max"), [(1, 30), (20, 150), (60, 400)])
async def test_without_a_listing_jobs_are_read_ever_less_often(
    tmp_path: Path, count: int, reads_max: int
) -> None:
    async with stage(tmp_path, poll_seconds=1, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.on_list = answers(400, {"error": {"message": "LLM Provider NOT provided"}})
        ids = [f"video_{number}" for number in range(count)]
        here.upstream.add(*ids, status="queued")
        await engine.register(ids)
        await engine.pass_time(1.5)
        here.upstream.change(*ids, status="in_progress")
        here.upstream.forget_requests()
        await engine.pass_time(30)
        assert count <= here.upstream.count("get") <= reads_max  # each round: 30 for each
        assert {job.status for job in await engine.jobs()} == {Status.PROCESSING}
        here.upstream.change(*ids, status="completed")
        await engine.pass_time(max(2, count))
        assert {job.status for job in await engine.jobs()} == {Status.COMPLETED}


async def test_a_job_that_is_missed_without_a_listing_is_looked_for_in_every_round(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.on_list = answers(405)
        ids = [f"video_{number}" for number in range(20)]
        here.upstream.add(*ids, status="in_progress")
        await engine.register(ids)
        await engine.pass_time(60)
        del here.upstream.videos["video_7"]
        await engine.pass_time(25)
        here.upstream.forget_requests()
        await engine.pass_time(50)
        assert sum(one.about == "video_7" for one in here.upstream.asked) == 10
        assert sum(one.about == "video_8" for one in here.upstream.asked) <= 3


# -- what the provider wishes ---------------------------------------------------------------------


async def test_a_retry_after_of_a_read_holds_every_read(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "b", "c")
        await engine.register(["a", "b"])
        await engine.settled()
        here.upstream.on_list = answers(429, None, {"Retry-After": "21"})
        here.upstream.on_get = here.upstream.on_list
        here.time.advance(5)
        await until(lambda: here.upstream.count("list", "get") >= 2)
        await until(lambda: engine.health["openai"].read_again_at > here.time.now())
        here.upstream.on_list = here.upstream.on_get = None
        here.upstream.forget_requests()
        for _ in range(4):
            here.time.advance(5)
            await until(lambda: here.time.awaits(engine.loops["watch"].signal))
        await engine.register(["c"])
        await until(lambda: here.time.awaits(engine.loops["watch"].signal))
        assert not here.upstream.asked
        here.time.advance(1)
        await engine.settled()

        assert here.upstream.asked


async def test_a_poll_hint_lengthens_the_wait_for_its_job_alone(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.on_list = answers(405)
        here.upstream.add("slow", "usual")
        await engine.register(["slow", "usual"])
        await engine.settled()

        async def hint(request: web.Request) -> web.StreamResponse:
            answer = here.upstream.tell(request.match_info["id"])
            slow = request.match_info["id"] == "slow"
            answer.headers["openai-poll-after-ms"] = "12000" if slow else "1000"
            return answer

        here.upstream.on_get = hint
        here.upstream.forget_requests()
        await engine.pass_time(30)
        asked = [one.about for one in here.upstream.asked if one.kind == "get"]

        assert asked.count("usual") == 6
        assert asked.count("slow") == 2


async def test_pausing_asks_nothing_and_resuming_asks_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.add("a", "b")
        await engine.register(["a"])
        await engine.settled()
        await engine.operations.pause_watching()
        await engine.settled()
        here.upstream.forget_requests()
        await engine.register(["b"])
        await engine.pass_time(30)
        assert not here.upstream.asked
        await engine.operations.resume_watching()
        await engine.settled()
        assert here.upstream.count("list") == 1
        await engine.pass_time(10)

        assert here.upstream.count("list") == 3


# -- answers that say nothing ---------------------------------------------------------------------


STRANGE: dict[str, dict[str, Any]] = {
    "an unknown status": {"status": "NOT_START"},
    "another provider's word": {"status": "finalizing"},
    "no status": {"status": None},
    "a status that is no text": {"status": {"state": "queued"}},
    "a word of our own": {"status": "paused"},
    "an empty status": {"status": ""},
    "strange progress": {"status": "in_progress", "progress": "many"},
    "negative progress": {"status": "queued", "progress": -5},
}


@pytest.mark.parametrize("listing", [True, False])
@pytest.mark.parametrize("fields", STRANGE.values(), ids=STRANGE.keys())
async def test_strange_words_neither_end_a_job_nor_stop_the_watch(
    tmp_path: Path, fields: dict[str, Any], listing: bool
) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        if not listing:
            here.upstream.on_list = answers(405)
        here.upstream.add("a", "b")
        here.upstream.change("a", **fields)
        await engine.register(["a", "b"])
        await engine.pass_time(60)
        assert (await engine.job("a")).status.watched
        here.upstream.change("a", "b", status="completed", progress=100)
        await engine.pass_time(5)

        for one in ("a", "b"):
            assert (await engine.job(one)).status is Status.COMPLETED


MALFORMED: dict[str, Any] = {
    "half of an answer": b'{"object": "list", "data": [{"id": "a", "sta',
    "no JSON": b"<html>",
    "null": b"null",
    "a list": b"[]",
    "another object": b'{"data": {"a": 1}}',
    "deep nesting": b"[" * 100_000,
    "no UTF-8": b"\xff\xfe{}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_answers_end_nothing(tmp_path: Path, body: bytes) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "b")
        here.upstream.on_list = here.upstream.on_get = answers(200, body)
        await engine.register(["a", "b"])
        await engine.pass_time(30)
        assert (await engine.job("a")).status is Status.QUEUED
        here.upstream.on_list = here.upstream.on_get = None
        here.upstream.change("a", "b", status="completed")
        await engine.pass_time(5)

        assert (await engine.job("a")).status is Status.COMPLETED


async def test_a_refused_key_marks_the_account_and_fails_no_job(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "b")
        await engine.register(["a", "b"])
        here.upstream.on_list = here.upstream.on_get = answers(
            401, {"error": {"message": "Incorrect API key."}}
        )
        await engine.pass_time(900)
        (account,) = (await engine.operations.stats())["accounts"]
        assert account["error"] == "Incorrect API key."
        assert (await engine.job("a")).status is Status.QUEUED
        here.upstream.on_list = here.upstream.on_get = None
        await engine.pass_time(5)

        (account,) = (await engine.operations.stats())["accounts"]
        assert account["healthy"]


# -- one job and the others -----------------------------------------------------------------------


async def test_a_read_that_hangs_holds_up_no_other_jobs_rounds(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.on_list = answers(405)
        names = [f"job_{number}" for number in range(20)]
        here.upstream.add(*names)
        failing = answers(500)

        async def hang_or_fail(request: web.Request) -> web.StreamResponse:
            one = request.match_info["id"]
            manners = {"job_7": never(), "job_8": failing}.get(one)
            return await manners(request) if manners else here.upstream.tell(one)

        here.upstream.on_get = hang_or_fail
        await engine.register(names)
        await until(lambda: here.upstream.count("get") >= 20)
        watch = engine.loops["watch"]
        for number in range(1, 4):
            # What was said of the one that fails is recorded as well.
            await until(lambda: all(held <= {"job_7"} for held in watch._reading))
            await until(lambda: here.time.awaits(watch.signal))
            here.upstream.forget_requests()
            here.upstream.change(*names, status="in_progress", progress=number)
            here.time.advance(5)
            await until(lambda: here.upstream.count("get") == 19)  # all but the one that hangs

            async def all_told(progress: int = number) -> bool:
                jobs = [job for job in await engine.jobs() if job.id not in {"job_7", "job_8"}]
                return {job.progress for job in jobs} == {progress}

            await until(all_told)
        assert not any(one.about == "job_7" for one in here.upstream.asked)


async def test_a_page_that_hangs_holds_up_no_other_pages_jobs(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        names = [f"job_{number:03}" for number in range(300)]
        here.upstream.add(*names)
        await engine.register(names)
        await engine.pass_time(5)
        hang = never()

        async def last_page_hangs(request: web.Request) -> web.StreamResponse:
            hangs = request.query.get("after") == "job_100"
            return await (hang if hangs else here.upstream.list_page)(request)

        here.upstream.on_list = last_page_hangs
        for number in (1, 2, 3):
            here.upstream.change(*names, status="in_progress", progress=number)
            here.time.advance(5)

            async def newest_told(progress: int = number) -> bool:
                jobs = await engine.jobs()
                return sum(job.progress == progress for job in jobs) == 200

            await until(newest_told)


async def test_no_job_is_read_twice_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.on_list = answers(405)
        here.upstream.add("a", "b")
        gate = asyncio.Event()

        async def hold(request: web.Request) -> web.StreamResponse:
            if request.match_info["id"] == "a":
                await gate.wait()
            return here.upstream.tell(request.match_info["id"])

        here.upstream.on_get = hold
        await engine.register(["a", "b"])
        for number in range(5):
            await until(lambda count=number: here.upstream.count("get") == count + 2)  # type: ignore[misc] # mypy infers no default of a lambda
            await until(lambda: here.time.awaits(engine.loops["watch"].signal))
            await until(lambda: len(engine.loops["watch"].tasks) <= 1)  # only what is held
            here.time.advance(5)
        gate.set()
        await engine.settled()
        asked = [one.about for one in here.upstream.asked if one.kind == "get"]

        assert asked.count("a") <= 2
        assert asked.count("b") == 6


async def test_a_job_that_the_store_refuses_stops_no_other(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "poison", "z")
        await engine.register(["a", "poison", "z"])
        await engine.settled()
        here.query(
            "CREATE TRIGGER refuse BEFORE UPDATE ON jobs WHEN new.id = 'poison'"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        here.upstream.change("a", "poison", "z", status="completed")
        await engine.pass_time(5)

        assert (await engine.job("a")).status is Status.COMPLETED
        assert (await engine.job("z")).status is Status.COMPLETED
        assert (await engine.job("poison")).status is Status.QUEUED


# -- endings --------------------------------------------------------------------------------------


async def test_a_404_is_believed_after_ten_minutes_and_not_before(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.register(["gone"], here.hook)
        await engine.pass_time(600 - 5)
        assert (await engine.job("gone")).status is Status.QUEUED
        await engine.pass_time(10)

        job = await engine.job("gone")
        assert (job.status, job.code) == (Status.FAILED, "provider_error")
        (webhook,) = here.receivers.webhooks
        assert webhook.body["soraJobId"] == "gone"


async def test_a_job_that_is_found_again_starts_a_new_ten_minutes(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.register(["shy"])
        await engine.pass_time(590)
        here.upstream.add("shy")
        await engine.pass_time(10)
        del here.upstream.videos["shy"]
        await engine.pass_time(590)

        assert (await engine.job("shy")).status is Status.QUEUED


@pytest.mark.parametrize("finished", [True, False])
async def test_a_job_past_its_age_is_checked_once_more(tmp_path: Path, finished: bool) -> None:
    async with stage(tmp_path, max_age_hours=24) as here:
        here.upstream.add("old", status="in_progress", progress=10)
        async with here.engine() as engine:
            await engine.register(["old"], here.hook)
            await engine.settled()
        here.time.advance(25 * 3600)
        here.upstream.change("old", status="completed" if finished else "in_progress")
        async with here.engine() as engine:
            await engine.settled()
            job = await engine.job("old")

    assert job.status is (Status.COMPLETED if finished else Status.FAILED)
    assert job.code == (None if finished else "expired")
    assert [one.body["status"] for one in here.receivers.webhooks] == ["processing", job.status]
    assert here.receivers.webhooks[-1].body.get("code") == job.code


async def test_a_job_past_its_age_that_can_not_be_read_fails_ten_minutes_later(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, max_age_hours=1) as here, here.engine() as engine:
        here.upstream.on_list = here.upstream.on_get = answers(500)
        await engine.register(["a"], here.hook)
        await engine.settled()
        here.time.advance(3600)
        await engine.pass_time(590)
        assert (await engine.job("a")).status is Status.QUEUED
        await engine.pass_time(15)

        assert (await engine.job("a")).code == "expired"
        assert len(here.receivers.endings) == 1


async def test_a_restart_resumes_every_unfinished_job(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        names = [f"job_{number}" for number in range(30)]
        here.upstream.add(*names)
        async with here.engine() as engine:
            await engine.register(names, here.hook)
            await engine.settled()
        here.upstream.change(*names, status="completed")
        async with here.engine() as engine:
            await engine.settled()
            assert {job.status for job in await engine.jobs()} == {Status.COMPLETED}
            assert len(here.receivers.endings) == 30


async def test_a_listing_that_comes_and_goes_ends_every_job_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        names = [f"job_{number}" for number in range(30)]
        here.upstream.add(*names)
        here.upstream.on_list = one_after_the_other(
            answers(500), here.upstream.list_page, answers(200, b"{"), here.upstream.list_page
        )
        await engine.register(names, here.hook)
        await engine.pass_time(10)
        here.upstream.change(*names, status="completed")
        await engine.pass_time(10)

        assert sorted(one.body["jobId"] for one in here.receivers.endings) == sorted(names)


class Refusing(Store):
    """Refuses to record what was read, as while a database is briefly away."""

    failures = 0

    async def record(self, changes: Sequence[Change], lease: Lease | None) -> list[str]:
        if Refusing.failures:
            Refusing.failures -= 1
            raise StoreError("The database is away")
        return await super().record(changes, lease)


async def test_what_could_not_be_recorded_is_read_again_and_is_no_error_of_ours(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE, store=Refusing) as here, here.engine() as engine:
        here.upstream.add("a")
        await engine.register(["a"])
        await engine.settled()
        here.upstream.change("a", status="completed", progress=100)
        Refusing.failures = 1
        await engine.pass_time(10)

        assert Refusing.failures == 0
        assert (await engine.job("a")).status is Status.COMPLETED
        assert [one["log_level"] for one in here.logs if one["log_level"] == "error"] == []
