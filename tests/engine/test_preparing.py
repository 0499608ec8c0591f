"""The files that a request names are stored before its job is created, or it ends unpaid."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from engine_stage import Stage, stage, until
from engine_upstream import when
from image_hosts import FOX, Respond, after, body, fetcher, image_host, redirect, status

from reelhook.domain.job import Status
from reelhook.domain.media import BYTES_MAX, File, reference

FILE = File("image/png", FOX)


def passing(here: Stage, condition: Callable[[], object]) -> Callable[[], object]:
    """Return the condition; time passes whenever it is looked at."""

    def look() -> object:
        here.time.advance(0.5)
        return condition()

    return look


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


async def test_a_job_that_was_canceled_while_its_image_was_fetched_keeps_no_file(
    tmp_path: Path,
) -> None:
    gate = asyncio.Event()
    async with (
        image_host(after(gate)) as host,
        fetcher(tmp_path) as fetch,
        stage(tmp_path) as here,
        here.engine(fetch=fetch) as engine,
    ):
        job_id = await engine.submit("a fox", image=host.url)
        await until(lambda: host.asked)
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
