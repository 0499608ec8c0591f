"""The files that a request names are stored before its job is created, or it ends unpaid."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import AddrInfoType, web
from engine_stage import LOOPBACK, Engine, Played, Stage, stage, until
from engine_upstream import when
from image_hosts import FOX, Respond, after, body, fetcher, image_host, redirect, status

from reelhook.domain.budget import BudgetLimits, project_owner
from reelhook.domain.caller import OPERATOR
from reelhook.domain.catalog import ANY_MODEL, Account
from reelhook.domain.job import Status
from reelhook.domain.media import BYTES_MAX, File, reference
from reelhook.domain.price import ModelPrice, PriceLine
from reelhook.domain.reservation import bill_of
from reelhook.doors.causes import words_of
from reelhook.engine.submitting.fetch_slots import PER_PROJECT_AT_ONCE, FetchSlots
from reelhook.fetching.fetcher import MediaFetcher
from reelhook.guard.connection import open_socket

FILE = File("image/png", FOX)
RESERVED = """
SELECT sum(CASE WHEN unit = 'USD' AND period LIKE '%-%-%' THEN reserved END),
  sum(CASE WHEN unit = 'USD' AND period LIKE '%-%-%' THEN spent END),
  sum(CASE WHEN period = 'now' THEN reserved END) FROM spending
"""
"""Reserved and spent money of the day, and the jobs in flight."""


def passing(here: Stage, condition: Callable[[], object]) -> Callable[[], object]:
    """Return the condition; time passes whenever it is looked at."""

    def look() -> object:
        here.time.advance(0.5)
        return condition()

    return look


@asynccontextmanager
async def fetching(folder: Path) -> AsyncIterator[tuple[Stage, Engine, str, asyncio.Event]]:
    """Submit a job whose image host answers once the event is set; go on when it was asked."""
    gate = asyncio.Event()
    async with (
        image_host(after(gate)) as host,
        fetcher(folder) as fetch,
        stage(folder) as here,
        here.engine(fetch=fetch) as engine,
    ):
        job_id = await engine.submit("a fox", image=host.url)
        await until(lambda: host.asked)
        yield here, engine, job_id, gate


async def test_an_image_is_fetched_once_and_sent_as_it_was_stored(tmp_path: Path) -> None:
    sent: list[bytes] = []

    async def look(request: web.Request) -> web.StreamResponse:
        file = (await request.post())["input_reference"]
        assert isinstance(file, web.FileField)
        sent.append(file.file.read())
        if len(sent) == 1:
            return web.Response(status=429)
        return await here.upstream.take(request)

    async with image_host() as host, fetcher(tmp_path) as fetch, stage(tmp_path) as here:
        here.upstream.on_create = look
        async with here.engine(fetch=fetch) as engine:
            job_id = await engine.submit("a fox", image=host.url)
            await until(lambda: sent)
            await engine.pass_time(60)
            await engine.job_when(job_id, Status.QUEUED)
        assert (sent, len(host.asked)) == ([FOX, FOX], 1)
        assert here.query("SELECT image, unprepared_since FROM jobs") == [
            (reference(FILE.hash), None)
        ]
        assert here.query("SELECT job_id, hash FROM job_files") == [(job_id, FILE.hash)]
        assert not list((tmp_path / "spool").iterdir())


async def test_a_host_that_answers_404_once_costs_a_moment(tmp_path: Path) -> None:
    async with (
        image_host(status(404), body(b"<html>busy</html>")) as host,
        fetcher(tmp_path) as fetch,
        stage(tmp_path) as here,
        here.engine(fetch=fetch) as engine,
    ):
        job_id = await engine.submit("a fox", image=host.url)
        await until(passing(here, lambda: len(host.asked) == 3))
        await engine.job_when(job_id, Status.QUEUED)


@pytest.mark.parametrize(
    ("answer", "tries", "reason"),
    [
        (status(404), 4, "HTTP 404 (4 tries)"),
        (body(b"GIF89a" + b"x" * (BYTES_MAX["image"])), 1, "32 MiB"),
        (body(b"<html>" * 20), 4, "no image by its bytes"),
        (redirect("http://10.0.0.1/fox.png"), 1, "10.0.0.1 is not public"),
        (redirect("ftp://127.0.0.1/fox.png"), 1, "must start with https://"),
    ],
)
async def test_a_job_whose_image_cannot_be_had_ends_unpaid(
    tmp_path: Path, answer: Respond, tries: int, reason: str
) -> None:
    async with (
        image_host(*[answer] * 4) as host,
        fetcher(tmp_path) as fetch,
        stage(tmp_path) as here,
        here.engine(fetch=fetch) as engine,
    ):
        job_id = await engine.submit("a fox", image=f"{host.url}?token=secret")
        await until(passing(here, lambda: here.query("SELECT 1 FROM jobs WHERE error <> ''")))
        job = await engine.job(job_id)
        assert (job.status, job.code) == (Status.FAILED, "image_unavailable")
        assert reason in (job.error or "")
        assert host.url.removesuffix("/fox.png") in (job.error or "")
        assert "secret" not in (job.error or "")
        assert (len(host.asked), here.upstream.creations) == (tries, 0)


async def test_a_slow_host_holds_only_its_own_jobs(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with (
        image_host(*[after(gate)] * 50) as slow,
        image_host() as quick,
        fetcher(tmp_path) as fetch,
        stage(tmp_path) as here,
        here.engine(fetch=fetch) as engine,
    ):
        held = [await engine.submit("a fox", image=slow.url) for _ in range(50)]
        others = [await engine.submit("an owl"), await engine.submit("a hen", image=quick.url)]
        for job_id in others:
            await engine.job_when(job_id, Status.QUEUED)
        assert len(slow.asked) <= 4
        gate.set()
        for job_id in held:
            await engine.job_when(job_id, Status.QUEUED)


async def test_a_project_that_waits_for_many_hosts_leaves_slots_to_others() -> None:
    slots, held, gate = FetchSlots(), list[int](), asyncio.Event()

    async def fetch(number: int) -> None:
        async with slots.take("greedy", f"host-{number}.example"):
            held.append(number)
            await gate.wait()

    tasks = [asyncio.create_task(fetch(number)) for number in range(1000)]
    await until(lambda: len(held) == PER_PROJECT_AT_ONCE)
    async with asyncio.timeout(10), slots.take("modest", "other.example"):
        gate.set()
    await asyncio.gather(*tasks)


async def test_a_job_that_was_canceled_while_its_image_was_fetched_keeps_no_file(
    tmp_path: Path,
) -> None:
    async with fetching(tmp_path) as (here, engine, job_id, gate):
        await engine.service.cancel(job_id)
        gate.set()
        await engine.settled()
        assert (await engine.job(job_id)).status is Status.CANCELED
        assert here.query("SELECT count(*) FROM job_files") == [(0,)]


async def test_after_a_restart_the_fetch_begins_again(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with (
        fetcher(tmp_path) as fetch,
        stage(tmp_path) as here,
        image_host(after(gate)) as host,
    ):
        async with here.engine(fetch=fetch) as engine:
            job_id = await engine.submit("a fox", image=host.url)
            await until(lambda: host.asked)
        async with here.engine(fetch=fetch) as engine:
            await engine.job_when(job_id, Status.QUEUED)
        assert len(host.asked) == 2


async def test_without_a_fetcher_the_provider_gets_the_address(tmp_path: Path) -> None:
    asked = asyncio.Event()
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = when(asked, here.upstream.take)
        job_id = await engine.submit("a fox", image="https://images.example.com/fox.png")
        asked.set()
        await engine.settled()
        assert (await engine.job(job_id)).unprepared_since is None


# -- meanwhile ------------------------------------------------------------------------------------


async def test_an_account_is_handed_over_without_waiting_for_a_slow_host(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (_, engine, job_id, _):
        async with asyncio.timeout(10):
            await engine.runner.remove([engine.loops["preparing"]], seconds=60)
        assert (await engine.job(job_id)).unprepared_since is not None


async def test_a_job_that_was_deleted_while_its_image_was_fetched_leaves_no_file(
    tmp_path: Path,
) -> None:
    async with fetching(tmp_path) as (here, engine, job_id, gate):
        await engine.gateway.jobs.delete(OPERATOR, job_id)
        gate.set()
        await engine.settled()
        assert here.query("SELECT count(*) FROM files") == [(0,)]
        assert here.upstream.creations == 0


async def test_while_this_machine_can_t_fetch_or_keep_a_file_its_job_waits(tmp_path: Path) -> None:
    troubles = [OSError(errno.EMFILE, "Too many open files")] * 5

    def open_one(info: AddrInfoType) -> socket.socket:
        if troubles:
            raise troubles.pop()
        return open_socket(info)

    in_the_way = tmp_path / "spool"
    in_the_way.touch()
    async with (
        image_host() as host,
        MediaFetcher(LOOPBACK, in_the_way, user_agent="test", open_socket=open_one) as fetch,
        stage(tmp_path) as here,
        here.engine(fetch=fetch) as engine,
    ):
        job_id = await engine.submit("a fox", image=host.url)
        [logged] = await until(
            lambda: [one for one in here.logs if one["event"] == "preparing.deferred"]
        )
        assert "can't be kept: File exists" in logged["error"]
        await until(lambda: here.query("SELECT 1 FROM accounts WHERE files_response <> ''"))
        attention = engine.gateway.attention
        cause = await attention.of_job(OPERATOR, await engine.job(job_id))
        assert cause is not None
        assert (cause.name, cause.variant) == ("files_awaited", "kept_back")
        assert words_of(cause, OPERATOR).message == (
            "The files of the request can't be fetched or kept on this machine. "
            f"The last response: {logged['error']}"
        )
        assert "response" not in cause.public().facts
        in_the_way.unlink()
        await until(passing(here, lambda: host.asked))
        assert not troubles
        await engine.job_when(job_id, Status.QUEUED)
        await until(lambda: here.query("SELECT files_response FROM accounts") == [(None,)])


async def test_a_job_whose_image_takes_long_says_so(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (here, engine, job_id, gate):
        attention, asked_at = engine.gateway.attention, here.time.now()
        assert await attention.of_job(OPERATOR, await engine.job(job_id)) is None
        here.time.advance(11)
        cause = await attention.of_job(OPERATOR, await engine.job(job_id))
        assert cause is not None
        assert (cause.name, cause.since) == ("files_awaited", asked_at)
        words = words_of(cause, OPERATOR)
        assert words.message.startswith("The files of the request are still being fetched")
        assert (words.action, words.command) == ("wait", f"reelhook status {job_id}")
        (row,) = await attention.all(OPERATOR)
        assert (row.cause.name, row.job_ids) == ("files_awaited", (job_id,))
        gate.set()
        await engine.job_when(job_id, Status.QUEUED)
        assert await attention.of_job(OPERATOR, await engine.job(job_id)) is None


@pytest.mark.parametrize("way", ["unavailable", "canceled", "deleted", "too old"])
async def test_a_job_that_ends_before_it_is_prepared_gives_its_budget_back_once(
    tmp_path: Path, way: str
) -> None:
    gate = asyncio.Event()
    table = ModelPrice("USD", (PriceLine(0.5),), "https://prices.example", "2026-11-29")
    account = Account("openai", "openai", prices={ANY_MODEL: table})

    async def lead_astray(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return await redirect("http://10.0.0.1/fox.png")(request)

    async with (
        image_host(lead_astray if way == "unavailable" else after(gate)) as host,
        fetcher(tmp_path) as fetch,
        stage(tmp_path, accounts=(Played(account),)) as here,
        here.engine(fetch=fetch) as engine,
    ):
        limits = BudgetLimits(jobs_in_flight=1, money_per_day={"USD": 2_000_000})
        await engine.store.set_budget(project_owner("default"), limits, here.time.now(), bill_of)
        job_id = await engine.submit("a fox", image=host.url, seconds="4")
        await until(lambda: host.asked)
        assert here.query(RESERVED) == [(2_000_000, 0, 1)]
        if way == "canceled":
            await engine.service.cancel(job_id)
        elif way == "deleted":
            await engine.gateway.jobs.delete(OPERATOR, job_id)
        elif way == "too old":
            here.time.advance(25 * 3600)
        else:
            gate.set()
        await until(lambda: here.query(RESERVED) == [(0, 0, 0)])
        gate.set()
        await until(lambda: not len(engine.loops["preparing"].tasks))
        assert here.query(RESERVED) == [(0, 0, 0)]
        assert here.query("SELECT count(*) FROM reservations") == [(0,)]
        assert here.upstream.creations == 0
