"""A failed job whose video turned up: it stays failed, and shows its video."""

from dataclasses import replace

from reelhook.domain.job import Job, Status
from reelhook.domain.request import VideoRequest
from reelhook.doors.compat.schemas import status_response
from reelhook.doors.native.schemas import job_response
from reelhook.doors.openai.schemas import video_of
from reelhook.ports import StoredJob

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
