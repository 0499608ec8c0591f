"""A failed job whose video turned up: it stays failed, and shows its video."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from gateways import Gateway, gateway, until
from receivers import receiver
from vercel_clients import status_of

from reelhook.domain.job import Job, Status
from reelhook.domain.request import VideoRequest
from reelhook.doors.compat.schemas import status_response
from reelhook.doors.native.schemas import job_response
from reelhook.doors.openai.ids import video_id
from reelhook.doors.openai.schemas import video_of
from reelhook.engine.polling import late_checks
from reelhook.ports import StoredJob
from reelhook.simulator.faults import Faults

URL = "http://here/job_1/download"
FAILED = Job("job_1", "acme", Status.FAILED, 0, 1, provider_job_id="video_1", code="expired")
RECOVERED = replace(FAILED, recovered_at=2)


def stored(job: Job) -> StoredJob:
    return StoredJob(job, VideoRequest("A fox", "sora-2"), None, None)


def test_it_stays_failed_at_every_door_and_has_its_video() -> None:
    for before, after in (
        (job_response(stored(FAILED).listed, URL), job_response(stored(RECOVERED).listed, URL)),
        (status_response(stored(FAILED), URL), status_response(stored(RECOVERED), URL)),
    ):
        old, new = (one.model_dump(mode="json", by_alias=True) for one in (before, after))
        assert "recovered" not in old
        assert old["videoUrl"] is None
        assert (new["status"], new["recovered"], new["videoUrl"]) == ("failed", True, URL)
    assert video_of(stored(RECOVERED), "").status == "failed"


async def test_a_video_that_turns_up_after_its_job_expired_is_kept_booked_and_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_checks, "LOOK_SECONDS", 0.05)
    slow = Faults(queue_seconds=0, render_seconds=3600)
    options: dict[str, Any] = {
        "providers": ("xai",),
        "max_age_hours": 0.0002,
        "archive_url": None,
    }
    async with receiver() as hook, gateway(tmp_path, slow, **options) as server:
        await server.endpoint(hook.url, events=["job.recovered"], broadcast=True)
        job_id = await server.submit(model="xai/grok-imagine-video", size=None)
        expired = await server.job_when(job_id, "failed")
        assert (expired["code"], expired["videoUrl"]) == ("expired", None)
        link = f"/api/sora/videos/{job_id}/download"
        assert (await server.get(link)).refusal == (404, "content_not_ready", None)

        server.time.advance(3600)
        look_tomorrow_is_now(tmp_path / "reelhook.db")
        told = await hook.first(lambda one: one.body["event"] == "job.recovered")
        assert (told.body["jobId"], told.body["status"]) == (job_id, "failed")
        assert told.body["recovered"] is True
        job = await server.job(job_id)
        assert (job["status"], job["code"], job["recovered"]) == ("failed", "expired", True)
        assert job["videoUrl"] == told.body["videoUrl"]
        assert job["cost"]["charged"] is True

        async def is_archived() -> bool:
            reply = await server.request("HEAD", link)
            return len(reply.headers.get("ETag", "")) == 66  # a SHA-256, quoted

        await until(is_archived)
        server.time.advance(30 * 24 * 3600)  # the provider's copy is gone
        video = await server.get(link)
        assert (video.status, video.body[4:8]) == (200, b"ftyp")
        await check_other_doors(server, job_id, video.body)


def look_tomorrow_is_now(database: Path) -> None:
    """Let the checks of tomorrow be due."""
    with contextlib.closing(apsw.Connection(str(database))) as connection:
        connection.set_busy_timeout(10_000)
        connection.execute("UPDATE late_checks SET due_at = 0")
        assert connection.changes() == 1


async def check_other_doors(server: Gateway, job_id: str, video: bytes) -> None:
    """Check that each door says that the job has failed, and serves its video."""
    status = (await server.get(f"/api/videos/status/{job_id}")).json()
    assert (status["status"], status["recovered"]) == ("failed", True)
    assert status["videoUrl"].endswith(f"/api/sora/videos/{job_id}/download")
    openai = f"/v1/videos/{video_id(job_id)}"
    shown = (await server.get(openai)).json()
    assert (shown["status"], shown["recovered"], shown["error"]["code"]) == (
        *("failed", True),
        "expired",
    )
    assert (await server.get(f"{openai}/content")).body == video
    vercel = (await status_of(server, {"jobId": job_id})).json()
    assert vercel["status"] == "error"
    own = vercel["providerMetadata"]["reelhook"]
    assert (own["recovered"], own["videoUrl"]) == (True, status["videoUrl"])
    page = (await server.get(f"/jobs/{job_id}", headers={"Accept": "text/html"})).body.decode()
    assert "its video turned up" in page
