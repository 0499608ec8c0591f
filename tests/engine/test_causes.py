"""Each cause, triggered in the real engine: its words, what happens next, and its remedy."""

import asyncio
from pathlib import Path
from typing import Any

import apsw
import pytest
from engine_stage import Engine, Played, Stage, stage, until
from engine_upstream import answers, reset

from reelhook.domain.archive_pause import ArchivePause, PauseCause
from reelhook.domain.budget import BudgetLimits
from reelhook.domain.caller import OPERATOR, Caller, Scope
from reelhook.domain.catalog import Account
from reelhook.domain.causes.cause import Cause, HeldUp
from reelhook.domain.errors import ReelhookError
from reelhook.domain.job import Status
from reelhook.domain.schedule import RetrySchedule
from reelhook.doors.causes import CauseWords, words_of
from reelhook.gateway import CauseSettings
from reelhook.service.attention import Attention
from reelhook.service.cause_facts import CauseFacts
from reelhook.storage.write_times import WriteTimes

WATCH_ALONE = frozenset({"watch", "account_status"})
READER = Caller("default", frozenset({Scope.READ}), key_id="key_1", chosen=True)
WORDS = "The limit of 1 concurrent tasks has been reached"
STATUS = WATCH_ALONE | {"account_status"}
SLOWLY: dict[str, Any] = {"poll_seconds": 600.0}
"""Rounds are rare, so that hours pass in few steps."""


async def cause_of(engine: Engine, job_id: str, caller: Caller = OPERATOR) -> Cause:
    cause = await engine.gateway.attention.of_job(caller, await engine.job(job_id))
    assert cause is not None
    return cause


async def said(engine: Engine, job_id: str) -> tuple[str, CauseWords]:
    cause = await cause_of(engine, job_id)
    return cause.name, words_of(cause, OPERATOR)


async def rows(engine: Engine, caller: Caller = OPERATOR) -> dict[str, HeldUp]:
    """Return all rows by the names of their causes."""
    engine.gateway.attention._cache.clear()
    return {row.cause.name: row for row in await engine.gateway.attention.all(caller)}


async def test_a_job_that_goes_on_has_no_cause(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        job_id = await engine.submit("a fox", here.hook)
        await engine.pass_time(5)
        assert await engine.gateway.attention.of_job(OPERATOR, await engine.job(job_id)) is None
        assert await rows(engine) == {}


async def test_paused(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        job_id = await engine.submit("a fox")
        await engine.settled()
        here.time.advance(60)
        paused_at = here.time.now()
        await engine.gateway.operations.pause_watching(OPERATOR)
        name, words = await said(engine, job_id)
        assert (name, words.action) == ("paused", "resume")
        assert words.message == "Watching is paused, so no provider is asked about its jobs"
        assert words.next.startswith("Nothing, until it is resumed")
        assert words.command == "reelhook watcher resume"
        row = (await rows(engine))["paused"]
        assert (row.count, row.job_ids, row.cause.since) == (1, (job_id,), paused_at)


async def test_no_worker(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        job_id = await engine.submit("a fox")
        await engine.settled()
        await engine.store.free_leases()
        name, words = await said(engine, job_id)
        assert (name, words.action) == ("no_worker", "start_worker")
        assert words.message == "No worker is running, so no job is created or watched"
        assert words.command == "reelhook worker"
        assert (await rows(engine))["no_worker"].count == 1


async def test_no_worker_for_an_account_that_was_removed(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        async with here.engine() as engine:
            job_id = await engine.submit("a fox")
            await engine.settled()
        other = (Played(Account("other", "openai")),)
        async with here.engine(accounts=other) as engine:
            name, words = await said(engine, job_id)
            assert (name, words.message) == (
                "no_worker",
                "The account openai is not configured here any more",
            )
            row = (await rows(engine))["no_worker"]
            assert (row.count, row.cause.about) == (1, "openai")


async def test_store_slow(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=frozenset()) as here, here.engine() as engine:
        job_id = await engine.submit("a fox")
        engine.store._write_times = WriteTimes(slow_seconds=0.05)
        other = apsw.Connection(f"{here.folder}/reelhook.db")
        other.execute("BEGIN IMMEDIATE")
        try:
            writing = asyncio.create_task(engine.store.record_round("openai", 1))
            await until(lambda: engine.store.slow_writes)
            row = (await rows(engine))["store_slow"]
            name, words = await said(engine, job_id)
        finally:
            other.execute("ROLLBACK")
            other.close()
        await writing
        assert (name, words.action, words.command) == ("store_slow", "fix_store", "reelhook doctor")
        assert words.message.startswith("The database takes too long to confirm writes: ")
        assert row.count is None


async def test_round_stretched(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", status="in_progress", progress=10)
        await engine.register(["a"])
        await engine.pass_time(5)
        engine.health["openai"].stretched_seconds = 7.0
        await engine.settled()
        name, words = await said(engine, "a")
        assert (name, words.action) == ("round_stretched", "raise_limit")
        assert words.message == "A round over the jobs of openai takes 7 s instead of 5 s"
        assert (await cause_of(engine, "a")).since == here.time.now()


async def test_account_refused(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=STATUS) as here, here.engine() as engine:
        here.upstream.add("a", "b")
        await engine.register(["a", "b"])
        refusal = answers(401, {"error": {"message": "Incorrect API key."}})
        here.upstream.on_list = here.upstream.on_get = refusal
        await engine.pass_time(30)
        name, words = await said(engine, "a")
        assert (name, words.action) == ("account_refused", "fix_key")
        assert words.message == (
            "The provider refuses the key of openai. The last response: Incorrect API key."
        )
        since = (await cause_of(engine, "a")).since
        await engine.pass_time(60)
        row = (await rows(engine))["account_refused"]
        assert (row.count, row.cause.since) == (2, since)
        # The provider's words about an account are the operator's.
        cause = (await rows(engine, READER))["account_refused"].cause
        words = words_of(cause, READER)
        assert words.message == "The provider refuses the key of openai"
        assert (words.command, words.action) == (None, None)
        assert words.remedy.startswith("Ask the operator: ")
        here.upstream.on_list = here.upstream.on_get = None
        await engine.pass_time(30)
        assert await rows(engine) == {}


async def test_account_full(tmp_path: Path) -> None:
    accounts = (Played(Account("openai", "openai", jobs_max=1)),)
    async with stage(tmp_path, accounts=accounts) as here, here.engine() as engine:
        await engine.submit("a fox")
        await engine.settled()
        waiting = [await engine.submit(f"a hen {number}") for number in range(2)]
        await engine.settled()
        here.time.advance(2)
        name, words = await said(engine, waiting[1])
        assert (name, words.action) == ("account_full", "raise_limit")
        assert words.message == (
            "openai has as many jobs at its provider as it may have; 1 others come first"
        )
        assert words.next == "The next job is created as soon as one of them ends"
        row = (await rows(engine))["account_full"]
        assert (row.count, set(row.job_ids)) == (2, set(waiting))


async def test_rate_limited(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = answers(
            429, {"error": {"message": "Slow down."}}, {"Retry-After": "60"}
        )
        job_id = await engine.submit("a fox")
        await engine.settled()
        name, words = await said(engine, job_id)
        cause = await cause_of(engine, job_id)
        assert (name, words.action) == ("rate_limited", "wait")
        assert words.message.startswith("openai takes no new jobs for now: ")
        assert words.message.endswith("Slow down.")
        assert cause.next_at is not None
        assert 60_000 <= cause.next_at - here.time.now() <= 75_000
        assert (await rows(engine))["rate_limited"].count == 1


async def test_provider_down_for_a_create(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        for number in range(2):
            await engine.submit(f"known {number}")
        await engine.pass_time(5)
        here.upstream.on_create = answers(503, {"detail": WORDS})
        job_id = await engine.submit("a fox")
        await engine.pass_time(70)
        job = await engine.job(job_id)
        assert job.status is Status.ACCEPTED
        name, words = await said(engine, job_id)
        assert (name, words.action) == ("provider_down", "wait")
        assert words.message == (
            f"openai did not accept the create, after 3 tries. The last response: HTTP 503: {WORDS}"
        )
        assert (await cause_of(engine, job_id)).next_at == job.submit_due_at


async def test_provider_down_for_reads(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=STATUS) as here, here.engine() as engine:
        here.upstream.add("a", "b")
        await engine.register(["a", "b"])
        await engine.pass_time(5)
        here.upstream.on_list = here.upstream.on_get = answers(500, {"error": {"message": "Oh."}})
        await engine.pass_time(40)
        name, words = await said(engine, "a")
        assert (name, words.action) == ("provider_down", "wait")
        assert words.message == (
            "openai can't be asked about its jobs. The last response: HTTP 500: Oh."
        )
        row = (await rows(engine))["provider_down"]
        assert (row.count, row.cause.about) == (2, "openai")


async def test_provider_down_for_a_job_that_is_unknown_there(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE) as here, here.engine() as engine:
        here.upstream.add("a", "b")
        await engine.register(["a", "b"])
        await engine.pass_time(5)
        del here.upstream.videos["a"]
        await engine.pass_time(30)
        cause = await cause_of(engine, "a")
        words = words_of(cause, OPERATOR)
        assert (cause.name, words.command) == ("provider_down", "reelhook poll a")
        assert words.message == "openai does not know the job any more"
        assert cause.next_at == (cause.since or 0) + 600_000


async def test_provider_slow(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=WATCH_ALONE, **SLOWLY) as here, here.engine() as engine:
        here.upstream.add("a", status="in_progress", progress=10)
        await engine.register(["a"])
        await engine.pass_time(1790)
        assert await engine.gateway.attention.of_job(OPERATOR, await engine.job("a")) is None
        await engine.pass_time(620)
        name, words = await said(engine, "a")
        assert (name, words.action) == ("provider_slow", "check_now")
        assert words.message.startswith("openai has reported nothing new for longer than ")
        assert words.command == "reelhook poll a"
        assert (await rows(engine))["provider_slow"].job_ids == ("a",)


async def test_in_doubt_while_it_is_looked_up_and_afterwards(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = reset
        here.upstream.on_list = answers(405)
        job_id = await engine.submit("a fox")
        await engine.settled()
        cause = await cause_of(engine, job_id)
        words = words_of(cause, OPERATOR)
        assert (cause.name, words.action) == ("in_doubt_looking", "wait")
        assert words.message.startswith("The response to the create at openai was lost")
        assert cause.next_at == here.time.now() + 150_000
        assert (await rows(engine))["in_doubt_looking"].count == 1
        await engine.pass_time(300)
        name, words = await said(engine, job_id)
        assert (name, words.action) == ("in_doubt", "settle")
        assert words.command == f"reelhook adopt {job_id} PROVIDERS_ID"
        assert words.next.startswith("Nothing more happens by itself")
        row = (await rows(engine))["in_doubt"]
        assert (row.count, row.job_ids, row.cause.name.harm.name) == (1, (job_id,), "MONEY")
        assert words_of(row.cause, READER).command is None
        await engine.gateway.in_doubt.abandon(OPERATOR, job_id)
        assert await rows(engine) == {}


async def test_near_max_age(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_age_hours": 0.5, "loops": WATCH_ALONE}
    async with stage(tmp_path, **options) as here, here.engine(poll_seconds=60.0) as engine:
        here.upstream.add("a", status="in_progress", progress=10)
        await engine.register(["a"])
        accepted_at = (await engine.job("a")).accepted_at
        assert accepted_at is not None
        await engine.pass_time(1650)
        cause = await cause_of(engine, "a")
        words = words_of(cause, OPERATOR)
        assert (cause.name, words.action) == ("near_max_age", "check_now")
        assert cause.next_at == accepted_at + 1_800_000
        assert words.message == (
            "The provider has not finished the job in nearly 0.5 hours, the most allowed"
        )
        assert (await rows(engine))["near_max_age"].count == 1


async def test_over_budget(tmp_path: Path) -> None:
    async with stage(tmp_path, loops=frozenset()) as here, here.engine() as engine:
        limits = BudgetLimits(jobs_per_day=1)
        await engine.gateway.budgets.set_project(OPERATOR, "default", limits)
        await engine.submit("a fox")
        with pytest.raises(ReelhookError):
            await engine.submit("a hen")
        row = (await rows(engine))["over_budget"]
        words = words_of(row.cause, OPERATOR)
        assert words.message == "The project has had 1 of its 1 jobs of this day"
        assert words.next == "New jobs are refused until the day ends (UTC)"
        assert words.command == "reelhook budgets raise --project default --jobs-per-day N --for 2h"
        assert row.cause.next_at is not None
        assert row.cause.next_at > here.time.now()
        assert (await rows(engine, READER))["over_budget"].cause == row.cause
        raised = BudgetLimits(jobs_per_day=20)
        await engine.gateway.budgets.raise_project(OPERATOR, "default", raised, row.cause.next_at)
        assert await rows(engine) == {}


# -- webhooks -------------------------------------------------------------------------------------


async def ended(here: Stage, engine: Engine, *ids: str, url: str | None = None) -> None:
    """Let these jobs complete, so that a webhook is sent."""
    here.upstream.add(*ids, status="completed", progress=100)
    await engine.register(ids, url or here.hook)
    await engine.settled()
    await until(engine.all_ended)
    await engine.settled()


async def test_retrying_then_exhausted(tmp_path: Path) -> None:
    schedule = RetrySchedule((30.0,))
    async with stage(tmp_path, schedule=schedule) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = answers(500)
        await ended(here, engine, "a")
        cause = await cause_of(engine, "a")
        words = words_of(cause, OPERATOR)
        assert (cause.name, words.action) == ("retrying", "show_delivery")
        assert words.message == (
            f"{here.receivers.url} did not take the webhook; attempt 2 of 2 is next. "
            "The last response: HTTP 500"
        )
        assert words.command == "reelhook deliveries attempts 1"
        assert cause.next_at is not None
        assert cause.next_at > here.time.now()
        row = (await rows(engine))["retrying"]
        assert (row.things, row.count, row.job_ids) == ("webhooks", 1, ("a",))
        await engine.pass_time(40)
        name, words = await said(engine, "a")
        assert (name, words.action) == ("exhausted", "resend")
        assert words.command == "reelhook deliveries resend 1"
        assert (await rows(engine))["exhausted"].count == 1
        here.receivers.manners.clear()
        await engine.gateway.deliveries.resend(OPERATOR, 1)
        await engine.settled()
        assert await rows(engine) == {}


async def test_endpoint_open_then_disabled(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.receivers.manners["/hook"] = answers(503)
        ids = [f"job_{number}" for number in range(6)]
        await ended(here, engine, *ids)
        cause = await cause_of(engine, ids[5])
        words = words_of(cause, OPERATOR)
        assert (cause.name, words.action) == ("endpoint_open", "test_endpoint")
        assert words.message.startswith(f"{here.receivers.url} fails, so only probes are sent")
        assert words.command == f"reelhook endpoints test {cause.about}"
        row = (await rows(engine))["endpoint_open"]
        assert (row.things, row.count, row.cause.next_at) == ("webhooks", 6, cause.next_at)
        assert cause.about is not None
        here.query("UPDATE endpoints SET description = 'Shop backend'")
        await engine.gateway.endpoints.change(OPERATOR, cause.about, {}, enabled=False)
        name, words = await said(engine, ids[0])
        assert (name, words.action) == ("endpoint_disabled", "enable_endpoint")
        assert words.message.startswith("Shop backend was disabled by hand")
        assert words.next == "Nothing, until the endpoint is enabled"
        row = (await rows(engine))["endpoint_disabled"]
        assert (row.count, row.cause.name.harm.name) == (6, "WEBHOOKS")


async def test_endpoint_refused(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await ended(here, engine, "a", url="http://10.1.2.3/hook")
        name, words = await said(engine, "a")
        assert (name, words.action) == ("endpoint_refused", "change_endpoint")
        assert words.message.startswith("A rule for addresses forbids http://10.1.2.3:80, so ")
        assert words.command is not None
        assert words.command.endswith(" --url URL")
        assert (await rows(engine))["endpoint_refused"].count == 1


# -- files ----------------------------------------------------------------------------------------


def with_archive(engine: Engine) -> Attention:
    """Return the use case of an installation that has an archive."""
    settings = CauseSettings(5.0, 24.0, 60.0, 13, archiving=True)
    facts = CauseFacts(engine.store, engine.catalog, settings, engine.clock)
    return Attention(engine.store, facts, engine.clock)


@pytest.mark.parametrize("why", PauseCause)
async def test_archive_paused(tmp_path: Path, why: PauseCause) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await ended(here, engine, "a")
        since = here.time.now() - 60_000
        engine.health["openai"].archive = ArchivePause(since, why, "5 MiB are free")
        await engine.settled()
        attention = with_archive(engine)
        cause = await attention.of_job(OPERATOR, await engine.job("a"))
        assert cause is not None
        words = words_of(cause, OPERATOR)
        assert (cause.name, cause.since, words.action) == ("archive_paused", since, "fix_archive")
        assert words.message.startswith("The archive takes no files for now: ")
        assert words.message.endswith("5 MiB are free")
        assert words.command == "reelhook doctor"
        (row,) = await attention.all(OPERATOR)
        assert (row.cause.name, row.things) == ("archive_paused", "files")
        (shown,) = await attention.all(READER)
        assert "5 MiB" not in words_of(shown.cause, READER).message


async def test_expiring(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        await ended(here, engine, "a")
        here.query(
            "UPDATE archive SET expires_at = ?, error = 'HTTP 500'", here.time.now() + 3_600_000
        )
        attention = with_archive(engine)
        cause = await attention.of_job(OPERATOR, await engine.job("a"))
        assert cause is not None
        words = words_of(cause, OPERATOR)
        assert (cause.name, words.action) == ("expiring", "save_file")
        assert words.message == (
            "openai deletes this video soon, and storing it has failed. The last response: HTTP 500"
        )
        assert cause.next_at == here.time.now() + 3_600_000
        (row,) = await attention.all(OPERATOR)
        assert (row.things, row.count, row.job_ids) == ("files", 1, ("a",))
