"""The example application runs, and the inherited functions do what they say."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

import reelhook
from examples import embedding
from reelhook.hook import Hook
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import RunningSimulator, running


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running(Faults(queue_seconds=0, render_seconds=0.3)) as server:
        yield server


@pytest.fixture
async def hook(simulator: RunningSimulator, tmp_path: Path) -> AsyncIterator[Hook]:
    settings = reelhook.Settings.of(
        openai_base_url=simulator.base_url, data_dir=tmp_path, poll_seconds=0.1
    )
    async with reelhook.open(settings) as opened:
        yield opened


async def ended(hook: Hook, job_id: str) -> str:
    while True:
        changed = hook.service.changed
        job = (await hook.service.job(job_id)).job
        if job.status.terminal:
            return job.status.value
        await asyncio.wait_for(changed.wait(), 20)


async def test_the_example_application_takes_a_job_and_serves_the_api_where_it_is_mounted(
    simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import uvicorn  # noqa: PLC0415 - this test alone serves another application

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    monkeypatch.setenv("REELHOOK_POLL_SECONDS", "0.1")
    config = uvicorn.Config(embedding.app, port=0, log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.post("/films", params={"script": "A fox"}) as response:
            job_id = (await response.json())["jobId"]
        assert await ended(embedding.app.state.hook, job_id) == "completed"
        async with session.get(f"/video/api/videos/status/{job_id}") as response:
            assert (await response.json())["status"] == "completed"
        async with session.get(f"/video/api/sora/videos/{job_id}/download") as response:
            assert (await response.read())[4:8] == b"ftyp"
        async with session.get("/video/docs") as response:
            assert response.status == 200
    server.should_exit = True
    await task


async def test_a_job_from_elsewhere_is_registered_and_watched(
    hook: Hook, simulator: RunningSimulator
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{simulator.base_url}/videos", json={"prompt": "A fox"}) as response,
    ):
        provider_job_id = (await response.json())["id"]
    first = await hook.register_sora_job("job-1", provider_job_id)
    second = await hook.register_sora_job_for_polling("job-1", provider_job_id)
    assert first.job.id == second.job.id == "job-1"
    assert await ended(hook, "job-1") == "completed"


async def test_polling_stops_and_starts(hook: Hook) -> None:
    hook.stop_sora_polling()
    job_id = await hook.submit("A fox")
    while not (await hook.service.job(job_id)).job.status.watched:
        await asyncio.wait_for(hook.service.changed.wait(), 10)
    assert [job.id for job in await hook.get_pending_sora_jobs()] == [job_id]
    assert (await hook.get_polling_stats())["watcher"]["paused"]
    hook.start_sora_polling()
    assert await ended(hook, job_id) == "completed"
    assert (await hook.get_sora_polling_stats())["completed"] == 1


async def test_a_status_that_the_caller_vouches_for_is_told_like_any_other(hook: Hook) -> None:
    hook.stop_sora_polling()
    await hook.register_sora_job("job-1", "video_elsewhere")
    await hook.update_sora_job_status("job-1", "processing", 40)
    job = (await hook.update_sora_job_status("job-1", "completed")).job
    assert (job.status.value, job.progress, job.sequence) == ("completed", 100, 2)


async def test_a_check_now_brings_the_change(hook: Hook) -> None:
    hook.stop_sora_polling()
    job_id = await hook.submit("A fox")
    while not (await hook.service.job(job_id)).job.status.terminal:
        await hook.force_poll_job(job_id)
        await asyncio.sleep(0.05)
    assert (await hook.service.job(job_id)).job.status.value == "completed"
