"""The functions of the original service, under their names in snake case."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hosts import provider, settings
from structlog.testing import capture_logs

import reelhook
from reelhook.domain.conflicts import JobIdTakenError
from reelhook.domain.errors import (
    InvalidRequestError,
    JobNotFoundError,
)
from reelhook.domain.job import Status
from reelhook.simulator.core import Simulator
from reelhook.simulator.faults import Faults
from reelhook.simulator.job import VideoSpec

VIDEO = VideoSpec(prompt="made elsewhere", model="m", width=64, height=64, seconds=1)


class Opened:
    """A running reelhook, its provider and its clock."""

    def __init__(self, hook: reelhook.Hook, simulator: Simulator, clock: Any) -> None:
        self.hook = hook
        self.simulator = simulator
        self._clock = clock

    def created_elsewhere(self) -> str:
        return self.simulator.create(VIDEO, id_prefix="video_").id

    def advance(self, seconds: float) -> None:
        self._clock.now += seconds

    async def status_becomes(self, job_id: str, status: Status) -> Any:
        async with asyncio.timeout(60):
            while True:
                changed = self.hook.service.changed
                stored = await self.hook.service.job(job_id)
                if stored.job.status is status:
                    return stored
                await changed.wait()


@asynccontextmanager
async def opened(
    tmp_path: Path, faults: Faults | None = None, **overrides: Any
) -> AsyncIterator[Opened]:
    with capture_logs():
        async with (
            provider(faults) as (simulated, clock),
            reelhook.open(settings(tmp_path, simulated.base_url, **overrides)) as hook,
        ):
            yield Opened(hook, simulated.simulator, clock)


@pytest.mark.parametrize("name", ["register_sora_job", "register_sora_job_for_polling"])
async def test_registering_has_a_job_watched(tmp_path: Path, name: str) -> None:
    async with opened(tmp_path) as one:
        register = getattr(one.hook, name)
        provider_id = one.created_elsewhere()
        stored = await register("mine", provider_id, "https://client.example/hook")
        assert (stored.job.id, stored.job.provider_job_id) == ("mine", provider_id)
        assert stored.webhook_url == "https://client.example/hook"
        one.advance(100)
        await one.status_becomes("mine", Status.COMPLETED)


async def test_registering_twice_is_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as one:
        provider_id = one.created_elsewhere()
        for _ in range(2):
            assert (await one.hook.register_sora_job("mine", provider_id)).job.id == "mine"
        assert (await one.hook.get_sora_polling_stats())["total"] == 1
        with pytest.raises(JobIdTakenError):
            await one.hook.register_sora_job("yours", provider_id)


async def test_an_embedding_program_is_held_to_the_limits_of_the_api(tmp_path: Path) -> None:
    async with opened(tmp_path) as one:
        wrongs: list[dict[str, Any]] = [
            {"script": "x" * 32_001},
            {"script": "A fox", "size": "big"},
            {"script": "A fox", "metadata": {"": "x"}},
            {"script": "A fox", "priority": "urgent"},
        ]
        for wrong in wrongs:
            with pytest.raises(InvalidRequestError):
                await one.hook.submit(**wrong)
        with pytest.raises(InvalidRequestError, match="reserved"):
            await one.hook.register_sora_job("events", one.created_elsewhere())
        assert (await one.hook.get_sora_polling_stats())["total"] == 0


async def test_stopping_and_starting_the_polling(tmp_path: Path) -> None:
    async with opened(tmp_path) as one:
        one.hook.stop_sora_polling()  # as in the original, without waiting
        assert (await one.hook.get_polling_stats())["watcher"]["paused"] is True
        job_id = await one.hook.submit("A fox")
        await one.status_becomes(job_id, Status.QUEUED)
        one.advance(100)
        await one.hook.start_sora_polling()
        assert (await one.hook.get_polling_stats())["watcher"]["paused"] is False
        await one.status_becomes(job_id, Status.COMPLETED)


async def test_forcing_a_poll(tmp_path: Path) -> None:
    async with opened(tmp_path, poll_seconds=3600) as one:
        job_id = await one.hook.submit("A fox")
        await one.status_becomes(job_id, Status.QUEUED)
        one.advance(100)
        assert (await one.hook.force_poll_job(job_id)).job.status is Status.COMPLETED
        with pytest.raises(JobNotFoundError):
            await one.hook.force_poll_job("job_nowhere")


async def test_the_statistics(tmp_path: Path) -> None:
    async with opened(tmp_path) as one:
        await one.status_becomes(await one.hook.submit("A fox"), Status.QUEUED)
        stats = await one.hook.get_polling_stats()
        assert set(stats) == {"jobs", "deliveries", "endpoints", "watcher", "accounts"}
        assert stats["endpoints"] == {"failing": 0, "disabled": 0}
        assert stats["jobs"] == await one.hook.get_sora_polling_stats()
        assert stats["jobs"] == {"total": 1, "queued": 1} | {
            status.value: 0 for status in Status if status is not Status.QUEUED
        }


async def test_pending_jobs_are_those_that_have_not_ended_newest_first(tmp_path: Path) -> None:
    async with opened(tmp_path, Faults(queue_seconds=0, render_seconds=0)) as one:
        done = await one.hook.submit("done")
        await one.status_becomes(done, Status.COMPLETED)
        one.simulator.faults = Faults()
        older = await one.hook.submit("older")
        await one.status_becomes(older, Status.QUEUED)
        newer = await one.hook.submit("newer")
        await one.status_becomes(newer, Status.QUEUED)
        assert [job.id for job in await one.hook.get_pending_sora_jobs()] == [newer, older]


@pytest.mark.parametrize(
    ("status", "progress", "expected"),
    [
        ("queued", 3, (Status.QUEUED, 3)),
        ("processing", 42, (Status.PROCESSING, 42)),
        ("processing", None, (Status.PROCESSING, 0)),
        ("completed", None, (Status.COMPLETED, 100)),
        ("failed", None, (Status.FAILED, 0)),
    ],
)
async def test_a_status_can_be_written_by_who_vouches_for_it(
    tmp_path: Path, status: str, progress: int | None, expected: tuple[Status, int]
) -> None:
    async with opened(tmp_path, poll_seconds=3600) as one:
        job_id = await one.hook.submit("A fox")
        await one.status_becomes(job_id, Status.QUEUED)
        stored = await one.hook.update_sora_job_status(job_id, status, progress)
        assert (stored.job.status, stored.job.progress) == expected
        events = await one.hook.service.events([job_id])
        assert len(events) == 1


async def test_a_status_that_is_none_of_the_four_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, poll_seconds=3600) as one:
        job_id = await one.hook.submit("A fox")
        await one.status_becomes(job_id, Status.QUEUED)
        for status, progress in (("done", None), ("canceled", None), ("processing", 101)):
            with pytest.raises(InvalidRequestError):
                await one.hook.update_sora_job_status(job_id, status, progress)
        assert (await one.hook.service.job(job_id)).job.status is Status.QUEUED


async def test_an_ended_job_can_not_be_rewritten(tmp_path: Path) -> None:
    async with opened(tmp_path, Faults(queue_seconds=0, render_seconds=0)) as one:
        job_id = await one.hook.submit("A fox")
        await one.status_becomes(job_id, Status.COMPLETED)
        stored = await one.hook.update_sora_job_status(job_id, "failed")
        assert stored.job.status is Status.COMPLETED


async def test_submitting_takes_the_fields_of_a_request(tmp_path: Path) -> None:
    async with opened(tmp_path, default_model="studio-1") as one:
        job_id = await one.hook.submit("A fox", direction="Slowly", seconds="2", size="64x64")
        stored = await one.status_becomes(job_id, Status.QUEUED)
        video = one.simulator.jobs[stored.job.provider_job_id].video
        assert (video.prompt, video.model, video.seconds) == ("Slowly\n\nA fox", "studio-1", 2)
