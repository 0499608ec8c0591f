"""A remix is a paid create like any other: sent once, and found again if its response is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from engine_stage import Engine, Played, Stage, stage
from engine_upstream import answers, reset

from reelhook.config.prices import UNDECLARED
from reelhook.domain.catalog import ANY_MODEL, Account
from reelhook.domain.errors import InvalidRequestError, JobNotFoundError
from reelhook.domain.job import Job, Status
from reelhook.domain.price import Defaults, ModelPrice, PriceLine
from reelhook.providers.xai.provider import XAI

TABLE = ModelPrice(
    *("USD", (PriceLine(0.5),), "https://prices.example", "2026-11-29"),
    defaults=Defaults(seconds=4),
    options=UNDECLARED,
)
ACCOUNTS = (
    Played(Account("first", "openai", prices={ANY_MODEL: TABLE})),
    Played(Account("second", "openai", weight=1000)),
)


@asynccontextmanager
async def finished(tmp_path: Path) -> AsyncIterator[tuple[Stage, Engine, str]]:
    """An engine whose account `first` has a finished job of 8 seconds."""
    async with stage(tmp_path) as here, here.engine(accounts=ACCOUNTS) as engine:
        job_id = await engine.submit("a fox", model="first/m", seconds="8")
        await engine.settled()
        await complete(here, engine, job_id)
        here.upstream.forget_requests()
        yield here, engine, job_id


async def complete(here: Stage, engine: Engine, job_id: str) -> str:
    video_id = (await engine.job(job_id)).provider_job_id
    assert video_id is not None
    here.upstream.change(video_id, status="completed")
    await engine.pass_time(5)
    return video_id


async def test_a_remix_is_created_once_at_the_account_that_has_the_video(tmp_path: Path) -> None:
    async with finished(tmp_path) as (here, engine, source):
        created = await engine.service.remix(source, "a fox at night")
        await engine.settled()
        job, source_job = await engine.job(created.job_id), await engine.job(source)
        assert (job.status, job.account, job.model) == (Status.QUEUED, "first", "m")
        assert (job.pinned, job.estimated_amount) == (True, 4.0)
        assert here.upstream.count("remix", "create") == 1
        video = here.upstream.videos[str(job.provider_job_id)]
        assert (video.prompt, video.seconds) == ("a fox at night", "8")
        assert video.remixed_from_video_id == source_job.provider_job_id


async def remixed(engine: Engine, job_id: str) -> Job:
    return await engine.job((await engine.service.remix(job_id, "a fox at night")).job_id)


@pytest.mark.parametrize("options", [{"seconds": "12"}, {"num_frames": 480}, {"size": "1920x1080"}])
async def test_a_remix_has_no_known_price_if_its_video_has_none(
    tmp_path: Path, options: dict[str, object]
) -> None:
    async with stage(tmp_path) as here, here.engine(accounts=ACCOUNTS) as engine:
        source = await engine.submit("a fox", model="first/m", seconds="4", options=options)
        await engine.settled()
        await complete(here, engine, source)
        remix = await remixed(engine, source)
        assert (await engine.job(source)).estimated_amount is None
        assert remix.estimated_amount is None
        assert (await engine.service.job(remix.id)).request.options == options


async def test_a_remix_of_a_registered_video_has_no_known_price(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine(accounts=ACCOUNTS) as engine:
        here.upstream.add("one", prompt="a fox", seconds="12")
        await engine.register(["one"])
        await complete(here, engine, "one")
        remix = await remixed(engine, "one")
        assert remix.estimated_amount is None
        await engine.settled()
        await complete(here, engine, remix.id)
        assert (await remixed(engine, remix.id)).estimated_amount is None


@pytest.mark.parametrize("status", [None, 500, 408, 409])
async def test_a_remix_without_a_response_is_found_by_the_video_that_it_changes(
    tmp_path: Path, status: int | None
) -> None:
    async with finished(tmp_path) as (here, engine, source):
        source_id = (await engine.job(source)).provider_job_id
        here.upstream.add("plain", prompt="a fox at night", model="m", seconds="8")
        other = here.upstream.remix("plain", "a fox at night")

        async def respond(request: web.Request) -> web.StreamResponse:
            here.upstream.remix(request.match_info["id"], "a fox at night")
            return await (reset if status is None else answers(status, {}))(request)

        here.upstream.on_remix = respond
        created = await engine.service.remix(source, "a fox at night")
        await engine.settled()
        job = await engine.job(created.job_id)
        assert (job.status, job.adopted) == (Status.QUEUED, True)
        assert job.provider_job_id not in {"plain", other.id}
        assert here.upstream.videos[str(job.provider_job_id)].remixed_from_video_id == source_id
        assert here.upstream.count("remix", "create") == 1


async def test_a_plain_create_in_doubt_takes_no_remix(tmp_path: Path) -> None:
    async with finished(tmp_path) as (here, engine, source):
        source_id = str((await engine.job(source)).provider_job_id)

        async def respond(request: web.Request) -> web.StreamResponse:
            here.upstream.remix(source_id, "a wolf")
            return await reset(request)

        here.upstream.on_create = respond
        job_id = await engine.submit("a wolf", model="first/m", seconds="8")
        await engine.settled()
        job = await engine.job(job_id)
        assert (job.status, job.provider_job_id) == (Status.SUBMITTING, None)


@pytest.mark.parametrize("status", [404, 405, 400])
async def test_a_refused_remix_fails_unpaid(tmp_path: Path, status: int) -> None:
    async with finished(tmp_path) as (here, engine, source):
        here.upstream.on_remix = answers(status, {"error": {"message": "no"}})
        created = await engine.service.remix(source, "a fox at night")
        await engine.settled()
        job = await engine.job(created.job_id)
        assert (job.status, job.code) == (Status.FAILED, "invalid_request")
        assert here.upstream.count("remix", "create") == 1


async def test_only_a_completed_video_of_ours_can_be_remixed(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        with pytest.raises(JobNotFoundError):
            await engine.service.remix("job_unknown", "a fox at night")
        job_id = await engine.submit("a fox")
        await engine.settled()
        with pytest.raises(InvalidRequestError) as told:
            await engine.service.remix(job_id, "a fox at night")
        assert told.value.message == (
            "Only a completed video can be remixed, and this job is queued; wait for its completion"
        )
        await complete(here, engine, job_id)
        with pytest.raises(InvalidRequestError, match="must not be empty"):
            await engine.service.remix(job_id, "")


async def test_a_provider_without_remix_is_named(tmp_path: Path) -> None:
    xai = (Played(Account("xai", "xai"), XAI),)
    async with stage(tmp_path) as here, here.engine(accounts=xai) as engine:
        await engine.register(["one"])
        with pytest.raises(InvalidRequestError, match="xai can't remix a video"):
            await engine.service.remix("one", "a fox at night")


async def test_a_server_that_is_known_to_have_no_remix_is_named(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.owned_by = "sglang"
        job_id = await engine.submit("a fox")
        await engine.settled()
        await complete(here, engine, job_id)
        with pytest.raises(InvalidRequestError, match="SGLang Diffusion can't remix a video"):
            await engine.service.remix(job_id, "a fox at night")
        assert here.upstream.count("remix") == 0
