"""The bodies of webhooks, as the first client reads them."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.event import Event, EventKind, WireStatus
from reelhook.domain.job import Job, Status
from reelhook.doors.compat.payload import CompatPayload, event_body

PROCESSING = Event(
    job_id="job-123",
    sequence=3,
    kind=EventKind.PROGRESS,
    status=WireStatus.PROCESSING,
    progress=45,
    occurred_at=1_706_176_800_007,
    provider_job_id="video_abc",
)
COMPLETED = replace(
    PROCESSING,
    kind=EventKind.TERMINAL,
    status=WireStatus.COMPLETED,
    progress=100,
    provider_video_url="https://api.example/v1/videos/video_abc/content",
    content_expires_at=1_234_567_890,
)
FAILED = replace(
    PROCESSING,
    kind=EventKind.TERMINAL,
    status=WireStatus.FAILED,
    error="Rate limit exceeded",
    code="provider_error",
)
FALLBACK = replace(
    PROCESSING,
    kind=EventKind.FALLBACK,
    status=WireStatus.QUEUED,
    progress=0,
    provider_job_id=None,
    error="No money",
    code="quota",
    model="fal/fal-ai/veo2",
)
VIDEO_URL = "https://us.example/api/sora/videos/job-123/download"
COMPAT = CompatPayload("https://us.example/api/sora/videos/{}/download".format)
JOB = Job("job-123", "openai", Status.PROCESSING, 0, 0)
RECORDED = {
    PROCESSING: (
        "evt_job-123_3-44bdca0668c7",
        (
            '{"jobId":"job-123","soraJobId":"video_abc","status":"processing","progress":45,'
            '"timestamp":"2024-01-25T10:00:00.007Z","sequence":3}'
        ),
    ),
    COMPLETED: (
        "evt_job-123_3-075483586060",
        (
            '{"jobId":"job-123","soraJobId":"video_abc","status":"completed","progress":100,'
            '"videoUrl":"https://us.example/api/sora/videos/job-123/download",'
            '"contentExpiresAt":1234567890,'
            '"providerVideoUrl":"https://api.example/v1/videos/video_abc/content",'
            '"timestamp":"2024-01-25T10:00:00.007Z","sequence":3}'
        ),
    ),
    replace(FAILED, error='Straße "gesperrt" 🎬\n', provider_job_id=None): (
        "evt_job-123_3-73b52f16d11b",
        (
            '{"jobId":"job-123","soraJobId":null,"status":"failed","progress":45,'
            '"error":"Straße \\"gesperrt\\" 🎬\\n","code":"provider_error",'
            '"timestamp":"2024-01-25T10:00:00.007Z","sequence":3}'
        ),
    ),
    FALLBACK: (
        "evt_job-123_3-4eba64f15045",
        (
            '{"jobId":"job-123","soraJobId":null,"status":"queued","progress":0,'
            '"fallback":"fal/fal-ai/veo2","error":"No money","code":"quota",'
            '"timestamp":"2024-01-25T10:00:00.007Z","sequence":3}'
        ),
    ),
}
"""The webhook ids and bodies that the first release sent, byte by byte."""
texts = st.text() | st.none()
events = st.builds(
    Event,
    job_id=st.text(),
    sequence=st.integers(1, 10**6),
    kind=st.sampled_from(EventKind),
    status=st.sampled_from(WireStatus),
    progress=st.integers(0, 100),
    occurred_at=st.integers(0, 4 * 10**12),
    provider_job_id=texts,
    error=texts,
    code=texts,
    provider_video_url=texts,
    content_expires_at=st.none() | st.integers(0, 2**40),
)


@pytest.mark.parametrize("event", RECORDED)
def test_ids_and_bodies_are_those_that_were_always_sent(event: Event) -> None:
    assert (event.id, COMPAT.body(JOB, event).decode()) == RECORDED[event]


def test_the_test_webhook_is_marked_and_belongs_to_no_job() -> None:
    assert COMPAT.test_body("evt_test_1", 1_706_176_800_007) == (
        b'{"jobId":"evt_test_1","soraJobId":null,"status":"queued","progress":0,'
        b'"timestamp":"2024-01-25T10:00:00.007Z","sequence":1,"test":true}'
    )


@pytest.mark.parametrize("status", [WireStatus.QUEUED, WireStatus.PROCESSING])
def test_the_body_of_progress(status: WireStatus) -> None:
    assert json.loads(event_body(replace(PROCESSING, status=status), VIDEO_URL)) == {
        "jobId": "job-123",
        "soraJobId": "video_abc",
        "status": status.value,
        "progress": 45,
        "timestamp": "2024-01-25T10:00:00.007Z",
        "sequence": 3,
    }


def test_the_body_of_completion_carries_our_url_and_the_providers_beside_it() -> None:
    assert json.loads(event_body(COMPLETED, VIDEO_URL)) == {
        "jobId": "job-123",
        "soraJobId": "video_abc",
        "status": "completed",
        "progress": 100,
        "videoUrl": VIDEO_URL,
        "contentExpiresAt": 1_234_567_890,
        "providerVideoUrl": "https://api.example/v1/videos/video_abc/content",
        "timestamp": "2024-01-25T10:00:00.007Z",
        "sequence": 3,
    }


def test_a_file_that_never_expires_says_null() -> None:
    body = json.loads(event_body(replace(COMPLETED, content_expires_at=None), VIDEO_URL))
    assert body["contentExpiresAt"] is None


def test_the_body_of_failure() -> None:
    assert json.loads(event_body(FAILED, VIDEO_URL)) == {
        "jobId": "job-123",
        "soraJobId": "video_abc",
        "status": "failed",
        "progress": 45,
        "error": "Rate limit exceeded",
        "code": "provider_error",
        "timestamp": "2024-01-25T10:00:00.007Z",
        "sequence": 3,
    }


def test_the_bodies_of_events_after_the_end() -> None:
    found = replace(
        FAILED,
        kind=EventKind.RECOVERED,
        provider_video_url="https://api.example/v1/videos/video_abc/content",
    )
    assert json.loads(event_body(found, VIDEO_URL)) == {
        "jobId": "job-123",
        "soraJobId": "video_abc",
        "status": "failed",
        "progress": 45,
        "event": "job.recovered",
        "recovered": True,
        "videoUrl": VIDEO_URL,
        "contentExpiresAt": None,
        "providerVideoUrl": "https://api.example/v1/videos/video_abc/content",
        "error": "Rate limit exceeded",
        "code": "provider_error",
        "timestamp": "2024-01-25T10:00:00.007Z",
        "sequence": 3,
    }
    lost = replace(COMPLETED, kind=EventKind.ARCHIVE_FAILED, error="It is gone (410)")
    read = json.loads(event_body(lost, VIDEO_URL))
    assert (read["event"], read["status"]) == ("archive.failed", "completed")
    assert (read["error"], read["videoUrl"]) == ("It is gone (410)", VIDEO_URL)


def test_a_job_that_was_never_accepted_has_a_null_provider_id() -> None:
    body = json.loads(event_body(replace(FAILED, provider_job_id=None), VIDEO_URL))
    assert body["soraJobId"] is None


def test_the_bytes_of_a_body_are_fixed() -> None:
    event = replace(PROCESSING, job_id="jöb")
    assert (
        event_body(event, VIDEO_URL)
        == (
            '{"jobId":"jöb","soraJobId":"video_abc","status":"processing","progress":45,'
            '"timestamp":"2024-01-25T10:00:00.007Z","sequence":3}'
        ).encode()
    )


@given(events)
def test_equal_events_have_equal_bytes_and_every_body_is_json(event: Event) -> None:
    body = event_body(event, VIDEO_URL)
    assert body == event_body(replace(event), VIDEO_URL)
    read = json.loads(body)
    assert (read["jobId"], read["soraJobId"]) == (event.job_id, event.provider_job_id)
    recovered = event.kind is EventKind.RECOVERED
    assert ("videoUrl" in read) == (event.status is WireStatus.COMPLETED or recovered)
    fallback = event.kind is EventKind.FALLBACK
    after_end = recovered or event.kind is EventKind.ARCHIVE_FAILED
    assert ("error" in read) == (event.status is WireStatus.FAILED or fallback or after_end)
    assert ("event" in read) == after_end
    assert ("fallback" in read) == fallback
