"""A job that waits shows what its provider said last; what is not understood is shown as well."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import Engine, Stage, stage
from engine_upstream import Respond, answers, one_after_the_other

from reelhook.domain.caller import OPERATOR
from reelhook.domain.job import Status
from reelhook.domain.waiting import Waiting
from reelhook.service.waiting import WaitingReasons

WORDS = "The scheduler is on holiday"
NO_LISTING = answers(405)


def told(here: Stage, event: str) -> list[dict[str, Any]]:
    return [dict(line) for line in here.logs if line["event"] == event]


async def words_of(engine: Engine, job_id: str) -> str | None:
    reasons = WaitingReasons(engine.store, engine.clock)
    waiting = await reasons.of(OPERATOR, await engine.job(job_id))
    return None if waiting is None else waiting.last_response


# -- creates --------------------------------------------------------------------------------------


async def test_a_job_that_waits_on_a_429_shows_it_and_so_does_one_behind_it(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        busy = answers(429, {"error": {"message": WORDS}}, {"Retry-After": "30"})
        here.upstream.on_create = one_after_the_other(busy, here.upstream.take)
        begun = here.time.now()
        first = await engine.submit("a fox")
        await engine.settled()
        await engine.pass_time(5)
        second = await engine.submit("a hen")
        await engine.settled()

        waits = WaitingReasons(engine.store, engine.clock)
        assert await waits.of(OPERATOR, await engine.job(first)) == Waiting(begun, WORDS, 1)
        assert await waits.of(OPERATOR, await engine.job(second)) == Waiting(begun + 5000, WORDS, 0)
        await engine.pass_time(30)
        for job_id in (first, second):
            assert (await engine.job(job_id)).status is Status.QUEUED
            assert await words_of(engine, job_id) is None


async def test_a_job_whose_provider_can_not_be_reached_shows_that(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with (
        stage(tmp_path) as here,
        here.engine(base_url=f"http://127.0.0.1:{unused_tcp_port}/v1") as engine,
    ):
        begun = here.time.now()
        job_id = await engine.submit("a fox")
        await engine.pass_time(10)

        waiting = (await engine.job(job_id)).waiting
        assert waiting is not None
        assert "no connection was made" in waiting.last_response
        assert waiting.since == begun
        assert (waiting.tries or 0) > 1
        [line] = told(here, "account.create_failed")  # of several tries within a minute
        assert (line["account"], line["job"]) == ("openai", job_id)
        assert "no connection was made" in line["response"]


# -- reads ----------------------------------------------------------------------------------------

NOT_UNDERSTOOD: dict[str, tuple[Respond, str]] = {
    "400": (answers(400, {"error": {"message": WORDS}}), f"HTTP 400: {WORDS}"),
    "500": (answers(500, {"detail": WORDS}), f"HTTP 500: {WORDS}"),
    "no job": (answers(200, {"hello": "world"}), ""),
    "a page": (answers(200, b"<html>"), ""),
    "a status": (answers(200, {"id": "a", "status": "on_holiday"}), "'on_holiday'"),
}


@pytest.mark.parametrize("how", NOT_UNDERSTOOD)
async def test_an_answer_to_a_poll_that_is_not_understood_is_shown_until_one_is(
    tmp_path: Path, how: str
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.add("a", status="in_progress", progress=10)
        here.upstream.on_list = NO_LISTING
        await engine.register(["a"])
        await engine.settled()
        assert await words_of(engine, "a") is None
        here.upstream.on_get = NOT_UNDERSTOOD[how][0]
        await engine.pass_time(5)
        begun = here.time.now()
        await engine.pass_time(30)

        job = await engine.job("a")
        assert job.status is Status.PROCESSING
        assert job.waiting is not None
        assert NOT_UNDERSTOOD[how][1] in job.waiting.last_response
        assert (job.waiting.since, job.waiting.tries) == (begun, None)
        (line,) = told(here, "watch.not_understood")
        assert (line["job"], line["response"]) == ("a", job.waiting.last_response)
        here.upstream.on_get = None
        await engine.pass_time(5)
        assert (await engine.job("a")).waiting is None


async def test_words_that_change_with_every_poll_are_written_once_a_minute(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.add("a", status="in_progress", progress=10)
        here.upstream.on_list = NO_LISTING
        await engine.register(["a"])
        await engine.settled()
        number = itertools.count()

        async def differently(request: web.Request) -> web.StreamResponse:
            return await answers(500, {"detail": f"request {next(number)}"})(request)

        here.upstream.on_get = differently
        before = (await engine.job("a")).version
        await engine.pass_time(300)

        assert next(number) > 50
        written = (await engine.job("a")).version - before
        assert 4 <= written <= 6
        assert len(told(here, "watch.not_understood")) == written


@pytest.mark.parametrize("status", [503, 401, 500])
async def test_a_provider_that_can_not_be_read_at_all_is_shown_with_each_of_its_jobs(
    tmp_path: Path, status: int
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        names = [f"job_{number}" for number in range(3)]
        here.upstream.add(*names, status="in_progress", progress=10)
        await engine.register(names)
        await engine.pass_time(5)
        versions = {job.id: job.version for job in await engine.jobs()}
        refuse = answers(status, {"error": {"message": WORDS}})
        here.upstream.on_list = refuse
        here.upstream.on_get = answers(503, {"error": {"message": WORDS}})
        await engine.pass_time(15)

        for name in names:
            assert WORDS in str(await words_of(engine, name))
        assert {job.id: job.version for job in await engine.jobs()} == versions
        (account,) = (await engine.operations.stats())["accounts"]
        assert WORDS in account["unread"].last_response
        await engine.pass_time(40)
        assert len(told(here, "account.unread")) == 1
        here.upstream.on_list = here.upstream.on_get = None
        await engine.pass_time(5)
        for name in names:
            assert await words_of(engine, name) is None


async def test_reads_that_fail_among_others_that_work_say_nothing_of_the_account(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        names = [f"job_{number}" for number in range(4)]
        here.upstream.add(*names, status="in_progress", progress=10)
        here.upstream.on_list = NO_LISTING
        await engine.register(names)
        number = itertools.count()

        async def every_other_one(request: web.Request) -> web.StreamResponse:
            if next(number) % 2:
                return await answers(503, {"detail": WORDS})(request)
            return here.upstream.tell(request.match_info["id"])

        here.upstream.on_get = every_other_one
        await engine.pass_time(60)

        assert not told(here, "account.unread")
        assert await words_of(engine, names[0]) is None
