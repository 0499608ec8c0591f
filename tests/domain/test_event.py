import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.event import (
    Event,
    EventKind,
    WireStatus,
    is_event_id,
    iso,
    job_id_of,
    sequence_of,
)

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
VIDEO_URL = "https://us.example/api/sora/videos/job-123/download"
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


@pytest.mark.parametrize("status", [WireStatus.QUEUED, WireStatus.PROCESSING])
def test_the_body_of_progress(status: WireStatus) -> None:
    assert json.loads(replace(PROCESSING, status=status).body(VIDEO_URL)) == {
        "jobId": "job-123",
        "soraJobId": "video_abc",
        "status": status.value,
        "progress": 45,
        "timestamp": "2024-01-25T10:00:00.007Z",
        "sequence": 3,
    }


def test_the_body_of_completion_carries_our_url_and_the_providers_beside_it() -> None:
    assert json.loads(COMPLETED.body(VIDEO_URL)) == {
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
    body = json.loads(replace(COMPLETED, content_expires_at=None).body(VIDEO_URL))
    assert body["contentExpiresAt"] is None


def test_the_body_of_failure() -> None:
    assert json.loads(FAILED.body(VIDEO_URL)) == {
        "jobId": "job-123",
        "soraJobId": "video_abc",
        "status": "failed",
        "progress": 45,
        "error": "Rate limit exceeded",
        "code": "provider_error",
        "timestamp": "2024-01-25T10:00:00.007Z",
        "sequence": 3,
    }


def test_a_job_that_was_never_accepted_has_a_null_provider_id() -> None:
    body = json.loads(replace(FAILED, provider_job_id=None).body(VIDEO_URL))
    assert body["soraJobId"] is None


def test_the_bytes_of_a_body_are_fixed() -> None:
    event = replace(PROCESSING, job_id="jöb")
    assert (
        event.body(VIDEO_URL)
        == (
            '{"jobId":"jöb","soraJobId":"video_abc","status":"processing","progress":45,'
            '"timestamp":"2024-01-25T10:00:00.007Z","sequence":3}'
        ).encode()
    )


@given(events)
def test_equal_events_have_equal_bytes_and_every_body_is_json(event: Event) -> None:
    body = event.body(VIDEO_URL)
    assert body == replace(event).body(VIDEO_URL)
    read = json.loads(body)
    assert (read["jobId"], read["soraJobId"]) == (event.job_id, event.provider_job_id)
    assert ("videoUrl" in read) == (event.status is WireStatus.COMPLETED)
    fallback = event.kind is EventKind.FALLBACK
    assert ("error" in read) == (event.status is WireStatus.FAILED or fallback)
    assert ("fallback" in read) == fallback


@given(st.integers(0, 4_102_444_800_000))
def test_a_timestamp_is_utc_to_the_millisecond(instant: int) -> None:
    text = iso(instant)
    moment = datetime.fromisoformat(text)
    assert text.endswith("Z")
    assert len(text) == len("2024-01-25T10:00:00.000Z")
    assert moment - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(milliseconds=instant)


@given(events, events)
def test_events_share_an_id_only_if_they_say_the_same(one: Event, other: Event) -> None:
    assert (one.id == other.id) == (one == other)


@given(events)
def test_events_of_one_sequence_that_differ_have_different_ids(event: Event) -> None:
    later = replace(event, occurred_at=event.occurred_at + 1)
    further = replace(event, progress=event.progress + 1)
    assert len({event.id, later.id, further.id}) == 3


def test_the_id_of_an_event_names_its_job_and_sequence_and_digests_the_rest() -> None:
    assert re.fullmatch(r"evt_job-123_3-[0-9a-f]{12}", PROCESSING.id)
    assert job_id_of(PROCESSING.id) == "job-123"
    assert sequence_of(PROCESSING.id, "job-123") == 3
    assert sequence_of(PROCESSING.id, "job") is None


def test_an_id_from_before_ids_told_the_content_is_still_read() -> None:
    assert is_event_id("evt_job_a_12")
    assert (job_id_of("evt_job_a_12"), sequence_of("evt_job_a_12", "job_a")) == ("job_a", 12)
