import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
