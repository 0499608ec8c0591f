"""A server that was restarted and forgot its jobs, and what only looks like one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import Engine, Played, Stage, stage
from engine_upstream import Upstream, Video, answers

from reelhook.domain.catalog import Account
from reelhook.domain.job import Job, Status

RESUBMITTING = (Played(Account("openai", "openai", resubmit_forgotten=True)),)


@asynccontextmanager
async def rendering(
    folder: Path, *scripts: str, **options: Any
) -> AsyncIterator[tuple[Stage, Engine, list[str]]]:
    """Jobs at a server like SGLang, which its listing has shown; 40 % are done."""
    async with stage(folder, **options) as here:
        here.upstream.owned_by = "sglang"
        async with here.engine() as engine:
            yield here, engine, await submitted(here, engine, *scripts)


async def submitted(here: Stage, engine: Engine, *scripts: str) -> list[str]:
    ids = [await engine.submit(one, here.hook) for one in scripts]
    await engine.pass_time(11)
    here.upstream.change(*here.upstream.videos, status="in_progress", progress=40)
    await engine.pass_time(6)
    assert {job.progress for job in await engine.jobs()} == {40}
    return ids


def logged(here: Stage, event: str) -> list[dict[str, Any]]:
    return [dict(one) for one in here.logs if one["event"] == event]


async def jobs_of(engine: Engine, ids: list[str]) -> list[Job]:
    return [await engine.job(one) for one in ids]


# -- a restart ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [("a fox",), ("a fox", "a hat", "a sea")])
async def test_what_a_restarted_server_has_forgotten_fails_after_half_a_minute(
    tmp_path: Path, scripts: tuple[str, ...]
) -> None:
    async with rendering(tmp_path, *scripts) as (here, engine, ids):
        here.upstream.videos.clear()
        await engine.pass_time(6)
        for job in await jobs_of(engine, ids):
            assert job.missing_since is not None
        await engine.pass_time(20)
        assert {job.status for job in await jobs_of(engine, ids)} == {Status.PROCESSING}
        await engine.pass_time(15)
        for job in await jobs_of(engine, ids):
            assert (job.status, job.code) == (Status.FAILED, "provider_error")
            assert "restarted and has forgotten this job" in (job.error or "")
        assert here.upstream.creations == len(scripts)
        assert len(logged(here, "watch.missing")) == len(scripts)
        [told] = logged(here, "watch.restarted")
        assert (told["failed"], told["sent_again"]) == (len(scripts), 0)
        assert {one.body["status"] for one in here.receivers.webhooks[-len(scripts) :]} == {
            "failed"
        }


async def test_what_is_forgotten_is_sent_again_where_that_is_allowed(tmp_path: Path) -> None:
    async with rendering(tmp_path, "a fox", "a hat", accounts=RESUBMITTING) as (here, engine, ids):
        here.upstream.videos.clear()
        await engine.pass_time(50)
        assert here.upstream.creations == 4
        for job in await jobs_of(engine, ids):
            assert (job.status, job.progress, job.forgotten) == (Status.QUEUED, 0, 1)
            assert job.missing_since is None
        here.upstream.change(*here.upstream.videos, status="completed")
        await engine.pass_time(10)
        assert {job.status for job in await jobs_of(engine, ids)} == {Status.COMPLETED}
        assert here.upstream.creations == 4
        told = [
            one.body["status"] for one in here.receivers.webhooks if one.body["jobId"] == ids[0]
        ]
        assert told == ["processing", "queued", "completed"]


async def test_a_job_that_ends_its_server_every_time_is_not_sent_for_ever(tmp_path: Path) -> None:
    async with rendering(tmp_path, "a fox", accounts=RESUBMITTING) as (here, engine, [job_id]):
        for _ in range(5):
            here.upstream.videos.clear()
            await engine.pass_time(60)
        job = await engine.job(job_id)
        assert (job.status, job.code) == (Status.FAILED, "provider_error")
        assert here.upstream.creations == 3


async def test_jobs_of_the_restarted_server_do_not_keep_the_forgotten_ones(tmp_path: Path) -> None:
    async with rendering(tmp_path, "a fox") as (here, engine, [job_id]):
        here.upstream.videos.clear()
        newer = await engine.submit("a hat")
        await engine.pass_time(45)
        assert (await engine.job(job_id)).status is Status.FAILED
        assert (await engine.job(newer)).status is Status.QUEUED


async def test_a_restart_of_both_is_noticed_too(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        here.upstream.owned_by = "sglang"
        async with here.engine() as engine:
            ids = await submitted(here, engine, "a fox", "a hat")
        here.upstream.videos.clear()
        async with here.engine() as engine:
            await engine.pass_time(50)
            assert {job.status for job in await jobs_of(engine, ids)} == {Status.FAILED}


async def test_a_job_that_was_registered_fails_and_is_not_sent(tmp_path: Path) -> None:
    async with stage(tmp_path, accounts=RESUBMITTING) as here, here.engine() as engine:
        here.upstream.owned_by = "sglang"
        here.upstream.add("a", "b", status="in_progress", progress=5)
        await engine.register(["a", "b"])
        await engine.pass_time(12)
        here.upstream.videos.clear()
        await engine.pass_time(50)
        assert {job.status for job in await engine.jobs()} == {Status.FAILED}
        assert here.upstream.creations == 0


# -- what only looks like one ---------------------------------------------------------------------


def _listing(*shown: Video, more: bool = False) -> Callable[[Upstream], None]:
    page = {"data": [one.shown() for one in shown], "has_more": more}

    def change(upstream: Upstream) -> None:
        upstream.on_list = answers(200, page)

    return change


def _denies(upstream: Upstream) -> None:
    upstream.on_get = answers(404, {"detail": "Video not found"})


def _empty_page_alone(upstream: Upstream) -> None:
    _listing()(upstream)


def _denials_alone(upstream: Upstream) -> None:
    _denies(upstream)
    upstream.on_list = answers(500, {"detail": "x"})


def _page_of_a_proxy(upstream: Upstream) -> None:
    page = answers(404, b"<html>not found</html>")

    async def get(request: web.Request) -> web.StreamResponse:
        one = request.match_info["id"]
        return await page(request) if one in upstream.videos else upstream.tell(one)

    _listing()(upstream)
    upstream.on_get = get


def _endless_listing(upstream: Upstream) -> None:
    _denies(upstream)
    _listing(Video("x", created_at=2**31), more=True)(upstream)


def _another_replica(upstream: Upstream) -> None:
    """Others' jobs are there, and older than all of this."""
    _denies(upstream)
    _listing(Video("theirs", created_at=int(upstream.now()) - 600))(upstream)


def _replicas_in_turn(upstream: Upstream) -> None:
    asked: dict[str, int] = {}

    async def get(request: web.Request) -> web.StreamResponse:
        one = request.match_info["id"]
        asked[one] = asked.get(one, 0) + 1
        if asked[one] % 4:
            return web.json_response({"detail": "Video not found"}, status=404)
        return upstream.tell(one)

    _listing()(upstream)
    upstream.on_get = get


def _one_is_left(upstream: Upstream) -> None:
    upstream.videos.pop(next(iter(upstream.videos)))


def _unknown_kind(upstream: Upstream) -> None:
    upstream.owned_by = None
    upstream.videos.clear()


def _kind_that_keeps_jobs(upstream: Upstream) -> None:
    upstream.owned_by = "openai"
    upstream.videos.clear()


@pytest.mark.parametrize(
    "lie",
    [
        _empty_page_alone,
        _denials_alone,
        _page_of_a_proxy,
        _endless_listing,
        _another_replica,
        _replicas_in_turn,
        _one_is_left,
        _unknown_kind,
        _kind_that_keeps_jobs,
    ],
)
async def test_nothing_less_than_a_restart_ends_a_job_or_sends_it_again(
    tmp_path: Path, lie: Callable[[Upstream], None]
) -> None:
    async with rendering(tmp_path, "a fox", "a hat", accounts=RESUBMITTING) as (here, engine, ids):
        lie(here.upstream)
        await engine.pass_time(200)
        assert {job.status for job in await jobs_of(engine, ids)} == {Status.PROCESSING}
        assert here.upstream.creations == 2
        assert not logged(here, "watch.restarted")


async def test_a_finished_job_that_is_still_listed_shows_that_nothing_was_forgotten(
    tmp_path: Path,
) -> None:
    async with rendering(tmp_path, "a fox", "a hat", accounts=RESUBMITTING) as (here, engine, ids):
        first, second = here.upstream.videos
        here.upstream.change(first, status="completed", created_at=0)
        await engine.pass_time(6)
        here.upstream.shows = lambda video: video | {"created_at": None}
        del here.upstream.videos[second]
        await engine.pass_time(200)
        assert {job.status for job in await jobs_of(engine, ids)} == {
            Status.COMPLETED,
            Status.PROCESSING,
        }
        assert here.upstream.creations == 2


async def test_jobs_of_a_server_that_was_exchanged_may_still_be_rendered_there(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, accounts=RESUBMITTING) as here:
        here.upstream.owned_by = "sglang"
        async with here.engine() as engine:
            ids = await submitted(here, engine, "a fox", "a hat")
        here.upstream.videos.clear()
        async with here.engine(
            base_url=here.upstream.url.replace("127.0.0.1", "localhost")
        ) as moved:
            await moved.pass_time(200)
            assert {job.status for job in await jobs_of(moved, ids)} == {Status.PROCESSING}
            assert here.upstream.creations == 2
