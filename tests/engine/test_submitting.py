"""Each row of "what happened" to a submit, and what is done then."""

import asyncio
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from aiohttp import web
from engine_stubs import Receiver, Upstream
from engine_waiting import ended, until, until_job, watched

import reelhook
from reelhook.doors.compat.functions import Hook


def answering(status: int, message: str = "no") -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


async def test_the_intent_is_on_disk_before_the_paid_call_arrives(
    hook: Hook, upstream: Upstream, tmp_path: Path
) -> None:
    seen: list[str] = []

    async def create(request: web.Request) -> web.StreamResponse:
        # By the store's own library: a second copy of SQLite would take its locks away.
        with closing(apsw.Connection(str(tmp_path / "reelhook.db"))) as database:
            seen.extend(row[0] for row in database.execute("SELECT status FROM jobs"))
        return web.json_response(upstream.videos[upstream.add((await request.json())["prompt"])])

    upstream.create = create
    await until_job(hook, await hook.submit("A fox"), watched)
    assert seen == ["submitting"]


async def test_a_rate_limit_is_waited_for_and_then_the_job_is_created_once(
    hook: Hook, upstream: Upstream
) -> None:
    async def create(_: web.Request) -> web.StreamResponse:
        upstream.create = None
        return web.json_response({}, status=429, headers={"Retry-After": "1"})

    upstream.create = create
    stored = await until_job(hook, await hook.submit("A fox"), watched)
    assert (upstream.counts["create"], len(upstream.videos)) == (2, 1)
    assert stored.job.submit_attempts == 2


async def test_a_refusal_fails_the_job_in_the_provider_s_words(
    hook: Hook, upstream: Upstream, receiver: Receiver
) -> None:
    async def create(_: web.Request) -> web.StreamResponse:
        return answering(401, "Incorrect API key provided")

    upstream.create = create
    stored = await until_job(hook, await hook.submit("A fox"), ended)
    assert stored.job.error == "Incorrect API key provided"
    assert not (await hook.operations.stats())["accounts"][0]["healthy"]
    await until(lambda: bool(receiver.bodies))
    assert receiver.bodies[0]["soraJobId"] is None
    assert receiver.bodies[0]["status"] == "failed"


@pytest.mark.parametrize("status", [500, 502, 408, 409, 307])
async def test_a_create_in_doubt_is_looked_up_and_adopted_never_repeated(
    status: int, hook: Hook, upstream: Upstream
) -> None:
    async def create(request: web.Request) -> web.StreamResponse:
        upstream.add((await request.json())["prompt"], created_at=4_000_000_000)
        return web.json_response({}, status=status, headers={"Location": "/v1/videos"})

    upstream.create = create
    stored = await until_job(hook, await hook.submit("A fox"), watched)
    assert upstream.counts["create"] == 1
    assert stored.job.adopted
    assert stored.job.provider_job_id == "video_1"


async def test_identical_lost_creates_are_adopted_one_to_one(
    hook: Hook, upstream: Upstream
) -> None:
    async def create(request: web.Request) -> web.StreamResponse:
        upstream.add((await request.json())["prompt"], created_at=4_000_000_000)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    upstream.create = create
    ids = [await hook.submit("The same fox") for _ in range(5)]
    stored = [await until_job(hook, job_id, watched) for job_id in ids]
    assert {one.job.provider_job_id for one in stored} == set(upstream.videos)
    assert upstream.counts["create"] == 5


async def test_proven_absence_creates_the_job_once_more(hook: Hook, upstream: Upstream) -> None:
    await until_job(hook, await hook.submit("One that proves the listing"), watched)

    async def create(_: web.Request) -> web.StreamResponse:
        upstream.create = None
        return answering(500)

    upstream.create = create
    stored = await until_job(hook, await hook.submit("A fox"), watched)
    assert not stored.job.adopted
    assert stored.job.submit_attempts == 2
    assert len(upstream.videos) == 2


async def test_an_entry_without_a_prompt_bars_the_proof(
    hook: Hook, upstream: Upstream, receiver: Receiver
) -> None:
    await until_job(hook, await hook.submit("One that proves the listing"), watched)

    async def create(_: web.Request) -> web.StreamResponse:
        upstream.add(None, created_at=4_000_000_000)
        return answering(500)

    upstream.create = create
    stored = await until_job(hook, await hook.submit("A fox"), ended)
    assert stored.job.code == "submission_unknown"
    assert upstream.counts["create"] == 2
    await until(lambda: [b["status"] for b in receiver.bodies].count("failed") == 1)


async def test_without_a_listing_a_lost_create_ends_as_unknown(
    hook: Hook, upstream: Upstream
) -> None:
    async def create(_: web.Request) -> web.StreamResponse:
        return answering(503)

    upstream.create, upstream.listing = create, False
    stored = await until_job(hook, await hook.submit("A fox"), ended)
    assert stored.job.code == "submission_unknown"
    assert upstream.counts["create"] == 1


async def test_a_worker_that_died_during_the_call_is_succeeded_without_a_second_one(
    settings: reelhook.Settings, upstream: Upstream
) -> None:
    arrived = asyncio.Event()

    async def create(request: web.Request) -> web.StreamResponse:
        upstream.add((await request.json())["prompt"], created_at=4_000_000_000)
        arrived.set()
        await asyncio.sleep(3600)
        return web.Response()

    upstream.create = create
    async with reelhook.open(settings) as first:
        job_id = await first.submit("A fox")
        await arrived.wait()
    async with reelhook.open(settings) as second:
        stored = await until_job(second, job_id, watched)
    assert stored.job.provider_job_id == "video_1"
    assert upstream.counts["create"] == 1


async def test_more_jobs_than_may_be_submitted_at_once_are_all_submitted(
    hook: Hook, upstream: Upstream
) -> None:
    await asyncio.gather(*(hook.submit(f"Fox {number}") for number in range(300)))
    await until(lambda: len(upstream.videos) == 300)
    assert upstream.counts["create"] == 300


async def test_two_creates_that_bring_the_same_id_are_not_paid_for_again(
    hook: Hook, upstream: Upstream
) -> None:
    first = await hook.submit("The same fox")
    await until_job(hook, first, watched)

    async def create(_: web.Request) -> web.StreamResponse:
        return web.json_response(upstream.videos["video_1"])

    upstream.create = create
    stored = await until_job(hook, await hook.submit("The same fox"), ended)
    assert stored.job.code == "provider_error"
    assert upstream.counts["create"] == 2
