"""Creates whose refusal proves nothing: each ends, with the provider's message."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import Engine, Played, Stage, stage, until
from engine_upstream import Respond, answers, never, one_after_the_other, reset, upstream

from reelhook.domain.catalog import Account
from reelhook.domain.job import Status
from reelhook.domain.waiting import Waiting

pytestmark = pytest.mark.long

WORDS = "The limit of 1 concurrent tasks has been reached"
PAGE = b"<html><head><title>Bad Gateway</title></head><body>nginx</body></html>"
THREE_MINUTES = 180
REFUSALS: dict[str, tuple[Respond, str]] = {
    "500": (answers(500, {"error": {"message": WORDS}}), f"HTTP 500: {WORDS}"),
    "502": (answers(502, {"message": WORDS}), f"HTTP 502: {WORDS}"),
    "503": (answers(503, {"detail": WORDS}), f"HTTP 503: {WORDS}"),
    "409": (answers(409, {"detail": WORDS}), f"HTTP 409: {WORDS}"),
    "page": (answers(502, PAGE), "Bad Gateway"),
    "reset": (reset, "no complete response arrived"),
}
every_refusal = pytest.mark.parametrize("how", REFUSALS)


@asynccontextmanager
async def proven(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Stage, Engine]]:
    """An engine that has seen jobs of its own in the provider's listing."""
    async with stage(tmp_path, **options) as here, here.engine() as engine:
        await prove(here, engine)
        yield here, engine


async def prove(here: Stage, engine: Engine) -> None:
    for number in range(2):
        await engine.submit(f"known {number}")
    await engine.pass_time(5)
    here.upstream.forget_requests()


async def refused(here: Stage, engine: Engine, how: str, **fields: Any) -> str:
    here.upstream.on_create = REFUSALS[how][0]
    job_id = await engine.submit("a fox", here.hook, **fields)
    await engine.settled()
    return job_id


async def end_of(engine: Engine, job_id: str, seconds: float) -> float:
    """Let time pass until the job has ended; return after how many seconds that was."""
    begun = engine.clock.now()
    while not (await engine.job(job_id)).status.terminal:
        assert engine.clock.now() - begun < seconds * 1000, "it has not ended"
        await engine.pass_time(1)
    return (engine.clock.now() - begun) / 1000


# -- until it ends --------------------------------------------------------------------------------


@every_refusal
async def test_the_server_s_words_and_the_number_of_tries_are_there_at_once(
    tmp_path: Path, how: str
) -> None:
    async with proven(tmp_path) as (here, engine):
        begun = here.time.now()
        job = await engine.job(await refused(here, engine, how))

        assert job.waiting is not None
        assert REFUSALS[how][1] in job.waiting.last_response
        assert (job.waiting.since, job.waiting.tries) == (begun, 1)
        (account,) = (await engine.operations.stats())["accounts"]
        assert (account["refused"].job_id, account["refused"].waiting) == (job.id, job.waiting)


async def test_the_tries_are_counted_and_an_acceptance_ends_the_waiting(tmp_path: Path) -> None:
    async with proven(tmp_path) as (here, engine):
        here.upstream.on_create = one_after_the_other(
            REFUSALS["503"][0], REFUSALS["500"][0], here.upstream.take
        )
        job_id = await engine.submit("a fox")
        await engine.settled()
        begun = here.time.now()
        await engine.pass_time(16)
        assert (await engine.job(job_id)).waiting == Waiting(begun, f"HTTP 500: {WORDS}", 2)
        await engine.pass_time(60)

        job = await engine.job(job_id)
        assert (job.status, job.waiting, job.submit_attempts) == (Status.QUEUED, None, 3)
        assert here.upstream.creations == 3


# -- where absence is proven ----------------------------------------------------------------------


@every_refusal
async def test_what_is_refused_again_and_again_fails_with_the_server_s_words(
    tmp_path: Path, how: str
) -> None:
    async with proven(tmp_path) as (here, engine):
        job_id = await refused(here, engine, how)
        await end_of(engine, job_id, 600)

        job = await engine.job(job_id)
        assert (job.code, job.submit_attempts, here.upstream.creations) == ("provider_error", 4, 4)
        assert REFUSALS[how][1] in str(job.error)
        assert str(job.error).endswith("(tried 4 times)")
        (webhook,) = here.receivers.of(job_id)
        assert (webhook.body["code"], webhook.body["error"]) == (job.code, job.error)


@pytest.mark.parametrize("how", ["500", "503", "409"])
async def test_a_server_s_own_refusals_end_within_two_minutes_with_growing_waits(
    tmp_path: Path, how: str
) -> None:
    async with proven(tmp_path) as (here, engine):
        begun, sent = here.time.now(), []

        async def respond(request: web.Request) -> web.StreamResponse:
            sent.append((here.time.now() - begun) / 1000)
            return await REFUSALS[how][0](request)

        here.upstream.on_create = respond
        job_id = await engine.submit("a fox")
        seconds = await end_of(engine, job_id, 120)

        assert sent == [0, 15, 35, 75]
        assert seconds == 90


@pytest.mark.parametrize("retries", [0, 1])
async def test_how_often_is_a_setting(tmp_path: Path, retries: int) -> None:
    async with proven(tmp_path, retries=retries) as (here, engine):
        job_id = await refused(here, engine, "503")
        await end_of(engine, job_id, 600)

        assert here.upstream.creations == retries + 1
        assert "(tried once)" in str((await engine.job(job_id)).error) or retries


@every_refusal
async def test_then_the_fallback_is_used(tmp_path: Path, how: str) -> None:
    async with (
        stage(tmp_path) as here,
        upstream(lambda: here.clock.now() / 1000) as other,
        here.engine(
            accounts=(
                Played(Account("openai", "openai")),
                Played(Account("second", "second"), base_url=other.url),
            )
        ) as engine,
    ):
        await prove(here, engine)
        job_id = await refused(here, engine, how, fallbacks=("second/m2",))
        await engine.pass_time(300)

        job = await engine.job(job_id)
        assert (job.status, job.account, job.waiting) == (Status.QUEUED, "second", None)
        assert (here.upstream.creations, other.creations) == (4, 1)


async def test_a_fallback_has_tries_of_its_own(tmp_path: Path) -> None:
    async with (
        stage(tmp_path) as here,
        upstream(lambda: here.clock.now() / 1000) as other,
        here.engine(
            accounts=(
                Played(Account("openai", "openai")),
                Played(Account("second", "second"), base_url=other.url),
            )
        ) as engine,
    ):
        await prove(here, engine)
        await engine.submit("known too", model="second/m2")
        await engine.pass_time(5)
        other.on_create = REFUSALS["500"][0]
        job_id = await refused(here, engine, "503", fallbacks=("second/m2",))
        await end_of(engine, job_id, 300)

        job = await engine.job(job_id)
        assert (job.code, job.error) == ("provider_error", f"HTTP 500: {WORDS} (tried 4 times)")
        assert (here.upstream.creations, other.creations) == (4, 5)


async def test_a_restart_between_the_tries_forgets_neither_their_number_nor_the_words(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here:
        async with here.engine() as engine:
            await prove(here, engine)
            job_id = await refused(here, engine, "503")
        for _ in range(40):
            async with here.engine() as engine:
                job = await engine.job(job_id)
                if job.status.terminal:
                    break
                assert job.waiting is not None
                assert job.waiting.last_response == f"HTTP 503: {WORDS}"
                await engine.pass_time(7)

        assert (job.code, here.upstream.creations) == ("provider_error", 4)


# -- a refusal that hides an accepted job ---------------------------------------------------------


@every_refusal
@pytest.mark.parametrize("late_seconds", [0, 1, 10])
@pytest.mark.long
async def test_a_job_that_was_accepted_all_the_same_is_adopted(
    tmp_path: Path, how: str, late_seconds: int
) -> None:
    async with proven(tmp_path) as (here, engine):
        job_id = await refused(here, engine, how)
        await engine.pass_time(late_seconds)
        here.upstream.add("hidden", prompt="a fox")
        await engine.pass_time(600)

        job = await engine.job(job_id)
        assert (job.provider_job_id, job.waiting) == ("hidden", None)
        assert here.upstream.creations == 1


@pytest.mark.parametrize("how", ["502", "page", "reset"])
async def test_behind_a_gateway_a_job_may_appear_until_the_settle_time_is_over(
    tmp_path: Path, how: str
) -> None:
    async with proven(tmp_path) as (here, engine):
        job_id = await refused(here, engine, how)
        await engine.pass_time(59)
        here.upstream.add("hidden", prompt="a fox")
        await engine.pass_time(5)

        assert (await engine.job(job_id)).provider_job_id == "hidden"
        assert here.upstream.creations == 1


# -- where absence can't be proven ----------------------------------------------------------------


async def shows_nothing_of_ours(here: Stage) -> None:
    here.upstream.listed = lambda _: False


async def shows_others(here: Stage) -> None:
    here.upstream.add("another's", prompt="who knows")


async def has_no_listing(here: Stage) -> None:
    here.upstream.on_list = answers(405)


async def answers_409_to_everything(here: Stage) -> None:
    here.upstream.on_list = here.upstream.on_get = REFUSALS["409"][0]


async def lists_nothing_in_time(here: Stage) -> None:
    here.upstream.on_list = never()


async def wants_to_be_left_alone(here: Stage) -> None:
    here.upstream.on_list = answers(503, None, {"Retry-After": "3600"})


UNTELLING = [
    shows_nothing_of_ours,
    shows_others,
    has_no_listing,
    answers_409_to_everything,
]


@pytest.mark.parametrize("how", ["503", "page", "reset"])
@pytest.mark.parametrize("listing", UNTELLING)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.long
async def test_what_can_not_be_told_ends_so_within_three_minutes_with_the_server_s_words(
    tmp_path: Path, how: str, listing: Any, known: bool
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        if known:
            await prove(here, engine)
        await listing(here)
        here.upstream.on_create = REFUSALS[how][0]
        before = here.upstream.creations
        job_id = await engine.submit("a fox", here.hook)
        await engine.pass_time(THREE_MINUTES)

        job = await engine.job(job_id)
        assert (job.status, job.code) == (Status.FAILED, "submission_unknown")
        assert REFUSALS[how][1] in str(job.error)
        assert here.upstream.creations == before + 1


async def test_a_listing_that_fails_again_for_the_same_reason_is_logged_once(
    tmp_path: Path,
) -> None:
    async with proven(tmp_path) as (here, engine):
        await has_no_listing(here)
        here.upstream.on_create = REFUSALS["503"][0]
        await engine.submit("a fox")
        before = here.upstream.count("list")
        await engine.pass_time(60)
        assert here.upstream.count("list") - before > 1
        logged = [one for one in here.logs if one["event"].startswith("resolve.listing")]
        assert [one["event"] for one in logged] == ["resolve.listing_gone"]


@pytest.mark.parametrize("listing", [lists_nothing_in_time, wants_to_be_left_alone])
async def test_a_listing_that_can_not_be_read_in_time_keeps_no_job_open(
    tmp_path: Path, listing: Any
) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await engine.settled()
        await listing(here)
        here.upstream.on_create = REFUSALS["503"][0]
        job_id = await engine.submit("a fox", here.hook)
        await until(lambda: here.upstream.count("list") > 1)
        for _ in range(THREE_MINUTES // 5):
            here.time.advance(5)
            await until(lambda: here.time.awaits(engine.loops["submit"].signal))

        job = await engine.job_when(job_id, Status.FAILED)
        assert job.code == "submission_unknown"
        assert WORDS in str(job.error)


async def test_identical_jobs_that_keep_coming_keep_none_open(tmp_path: Path) -> None:
    async with proven(tmp_path) as (here, engine):
        here.upstream.on_create = REFUSALS["page"][0]
        first = await engine.submit("a fox")
        for _ in range(16):
            await engine.pass_time(10)
            await engine.submit("a fox")

        assert (await engine.job(first)).submit_attempts == 2
