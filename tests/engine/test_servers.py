"""Jobs at servers that people run themselves: what is found out about them changes the creates."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stage import ACCOUNT, Engine, Played, Stage, stage, until
from engine_upstream import Upstream, one_after_the_other, reset

from reelhook.domain.catalog import Account
from reelhook.domain.job import Status
from reelhook.domain.model_mark import unmarked

MODEL = "Wan-AI/Wan2.1-T2V"
SETTLE_SECONDS = 60


def play(upstream: Upstream, owner: str) -> None:
    """Have it speak as SGLang (`sglang`) or FastVideo (`fastvideo`): no prompts are listed."""
    upstream.card = {"id": MODEL, "owned_by": owner}
    upstream.shows = lambda video: {k: v for k, v in video.items() if k != "prompt"}

    async def get(request: web.Request) -> web.StreamResponse:
        video = upstream.videos.get(request.match_info["id"])
        if video is None:
            return web.json_response({"detail": "Video not found"}, status=404)
        return web.json_response(upstream.shows(video.shown()))

    upstream.on_get = get


@asynccontextmanager
async def at(tmp_path: Path, owner: str, **options: Any) -> AsyncIterator[tuple[Stage, Engine]]:
    async with stage(tmp_path, **options) as here:
        play(here.upstream, owner)
        async with here.engine() as engine:
            await engine.settled()
            yield here, engine


async def created(here: Stage, engine: Engine, number: int, **fields: Any) -> list[str]:
    """Have so many jobs created, an hour between two of them."""
    ids = []
    for _ in range(number):
        here.time.advance(3600)
        ids.append(await engine.submit("a fox", **{"model": "", **fields}))
        await engine.settled()
    return ids


async def lose(here: Stage, engine: Engine, *, made: bool) -> str:
    """Submit a job whose create is carried out, or not, and never answered."""

    async def lost(request: web.Request) -> web.StreamResponse:
        if made:
            here.upstream.create(await request.json())
        return await reset(request)

    here.time.advance(3600)
    here.upstream.on_create = one_after_the_other(lost, here.upstream.take)
    job_id = await engine.submit("a fox", model="")

    async def unresolved() -> bool:
        return (await engine.job(job_id)).doubt_since is not None

    await until(unresolved)
    return job_id


def stranger(here: Stage, **fields: str) -> None:
    """Have somebody else create a video there."""
    asked: Mapping[str, str] = {"prompt": "a fox", "model": MODEL, **fields}
    here.upstream.create(asked)


# -- lost creates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["sglang", "fastvideo"])
async def test_a_lost_create_is_told_by_its_mark_among_others(tmp_path: Path, owner: str) -> None:
    async with at(tmp_path, owner, accounts=(Played(Account(ACCOUNT, "openai", jobs_max=99)),)) as (
        here,
        engine,
    ):
        await created(here, engine, 2)
        stranger(here)
        job_id = await lose(here, engine, made=True)
        stranger(here)
        before = here.upstream.creations
        await engine.pass_time(SETTLE_SECONDS + 10)
        job = await engine.job(job_id)
        assert (job.status, job.adopted, job.model) == (Status.QUEUED, True, MODEL)
        assert here.upstream.creations == before
        own = here.upstream.videos[job.provider_job_id or ""]
        assert unmarked(own.model) == (MODEL, job_id)


async def test_a_create_that_never_arrived_is_sent_again_among_others(tmp_path: Path) -> None:
    async with at(tmp_path, "sglang") as (here, engine):
        await created(here, engine, 2)
        stranger(here)
        job_id = await lose(here, engine, made=False)
        stranger(here)
        before = here.upstream.creations
        await engine.pass_time(3 * SETTLE_SECONDS)
        job = await engine.job(job_id)
        assert (job.status, job.adopted) == (Status.QUEUED, False)
        assert here.upstream.creations == before + 1


async def test_what_bore_no_mark_proves_nothing_among_others(tmp_path: Path) -> None:
    async with at(tmp_path, "sglang") as (here, engine):
        job_id = await lose(here, engine, made=False)  # the first one: no response has shown a name
        stranger(here)
        await created(here, engine, 2)
        await engine.pass_time(3 * SETTLE_SECONDS)
        job = await engine.job(job_id)
        assert (job.status, job.code) == (Status.FAILED, "submission_unknown")


async def test_a_listing_that_drops_marks_leads_to_no_second_create(tmp_path: Path) -> None:
    async with at(tmp_path, "sglang") as (here, engine):
        await created(here, engine, 3)
        here.upstream.shows = lambda video: {
            name: unmarked(value)[0] if name == "model" else value
            for name, value in video.items()
            if name != "prompt"
        }
        job_id = await lose(here, engine, made=True)
        before = here.upstream.creations
        await engine.pass_time(3 * SETTLE_SECONDS)
        job = await engine.job(job_id)
        assert (job.status, job.code) == (Status.FAILED, "submission_unknown")
        assert here.upstream.creations == before


async def test_a_server_that_looks_at_the_name_gets_it_without_a_mark(tmp_path: Path) -> None:
    async with at(tmp_path, "sglang") as (here, engine):
        await created(here, engine, 1)

        async def strict(request: web.Request) -> web.StreamResponse:
            fields = await request.json()
            if fields["model"] != MODEL:
                detail = f"The model {fields['model']} is not served here"
                return web.json_response({"detail": detail}, status=400)
            return await here.upstream.take(request)

        here.upstream.on_create = strict
        [job_id] = await created(here, engine, 1)
        await engine.pass_time(5)
        assert (await engine.job(job_id)).status is Status.QUEUED
        assert here.upstream.creations == 3
        assert len(here.upstream.videos) == 2


# -- models ---------------------------------------------------------------------------------------


async def test_a_job_without_a_model_is_made_with_the_only_one(tmp_path: Path) -> None:
    async with at(tmp_path, "sglang") as (here, engine):
        jobs = [await engine.job(one) for one in await created(here, engine, 3)]
        assert {job.model for job in jobs} == {MODEL}
        stored = [await engine.service.job(job.id) for job in jobs]
        assert {one.request.model for one in stored} == {MODEL}


async def test_a_name_that_was_asked_for_is_what_is_read(tmp_path: Path) -> None:
    async with at(tmp_path, "sglang") as (here, engine):
        jobs = [
            await engine.job(one) for one in await created(here, engine, 2, model="openai/sora-2")
        ]
        assert {job.model for job in jobs} == {"sora-2"}
        sent = [unmarked(video.model) for video in here.upstream.videos.values()]
        assert sent == [("sora-2", None), ("sora-2", jobs[1].id)]


# -- what is kept ---------------------------------------------------------------------------------


async def test_what_was_learnt_is_kept_for_the_next_process(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        encodings = []

        async def forms_only(request: web.Request) -> web.StreamResponse:
            encodings.append(request.content_type)
            if request.content_type == "application/json":
                return web.Response(status=415)
            return await here.upstream.take(request)

        here.upstream.on_create = forms_only
        for _ in range(2):
            here.time.advance(1)
            async with here.engine() as engine:
                await engine.submit("a fox")
                await engine.settled()
        form = "multipart/form-data"
        assert encodings == ["application/json", form, form]
        [[server]] = here.query("SELECT server FROM listings")
        assert json.loads(server) == {"encoding": form, "echoes": True}


async def test_what_another_server_taught_is_not_believed_of_this_one(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        play(here.upstream, "sglang")
        async with here.engine() as engine:
            await created(here, engine, 1)
        async with here.engine(base_url=here.upstream.url.replace("127.0.0.1", "localhost")) as two:
            await created(here, two, 1)
        models = [video.model for video in here.upstream.videos.values()]
        assert models == [MODEL, MODEL]


# -- one at a time --------------------------------------------------------------------------------


@pytest.mark.parametrize(("jobs_max", "at_once"), [(None, 1), (3, 3)])
async def test_a_server_without_a_queue_gets_its_jobs_one_by_one(
    tmp_path: Path, jobs_max: int | None, at_once: int
) -> None:
    account = Played(Account(ACCOUNT, "openai", jobs_max=jobs_max))
    async with at(tmp_path, "fastvideo", accounts=(account,)) as (here, engine):
        for number in range(4):
            await engine.submit(f"fox {number}", model="")
        for done in range(4):
            await engine.pass_time(6)
            assert len(here.upstream.videos) == min(4, done + at_once)
            here.upstream.change(list(here.upstream.videos)[done], status="completed")
        await engine.pass_time(6)
        assert all(job.status is Status.COMPLETED for job in await engine.jobs())


async def test_the_jobs_of_a_server_with_a_queue_go_there_at_once(tmp_path: Path) -> None:
    async with at(tmp_path, "sglang") as (here, engine):
        for number in range(20):
            await engine.submit(f"fox {number}", model="")
        await engine.settled()
        assert len(here.upstream.videos) == 20
