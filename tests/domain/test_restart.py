"""What shows that a server was restarted: properties that hold for whatever it says."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.doubt import Known
from reelhook.domain.job import Job
from reelhook.domain.report import Entry, Progress
from reelhook.domain.request import VideoRequest
from reelhook.domain.restart import (
    DENIALS_MIN,
    FORGOTTEN_MILLISECONDS,
    Denials,
    forgotten,
    is_from_before,
)

from .samples import NOW, QUEUED

MARGIN = 15_000
LATER = NOW + FORGOTTEN_MILLISECONDS
HOUR = 3_600_000


def job(number: int, *, accepted_at: int = NOW - HOUR, missing_since: int | None = NOW) -> Job:
    return replace(
        QUEUED,
        id=f"job_{number}",
        provider_job_id=f"video_{number}",
        accepted_at=accepted_at,
        missing_since=missing_since,
    )


def denied(*jobs: Job, count: int = DENIALS_MIN, since: int = NOW) -> dict[str, Denials]:
    return {one.provider_job_id or "": Denials(count, since) for one in jobs}


def lost(
    *jobs: Job, denials: dict[str, Denials], shown: bool = True, now: int = LATER
) -> list[Job]:
    return forgotten(jobs, denials, was_shown=lambda _: shown, margin=MARGIN, now=now)


def test_jobs_that_were_denied_for_half_a_minute_are_forgotten() -> None:
    one, two = job(1), job(2)
    assert lost(one, two, denials=denied(one, two)) == [one, two]
    assert FORGOTTEN_MILLISECONDS == 30_000


@given(st.integers(0, FORGOTTEN_MILLISECONDS - 1), st.integers(0, 100))
def test_no_job_is_forgotten_sooner(passed: int, count: int) -> None:
    one = job(1)
    assert lost(one, denials=denied(one, count=count), now=NOW + passed) == []
    late = denied(one, count=count, since=LATER - passed)
    assert lost(one, denials=late) == []


@given(st.integers(0, DENIALS_MIN - 1))
def test_few_denials_are_not_enough_however_long_they_last(count: int) -> None:
    one = job(1)
    assert lost(one, denials=denied(one, count=count), now=NOW + HOUR) == []


@given(st.integers(0, HOUR))
def test_an_older_job_that_is_still_known_keeps_all(before: int) -> None:
    one, other = job(1), job(2, accepted_at=NOW - MARGIN - 1 - before, missing_since=None)
    assert lost(one, other, denials=denied(one)) == []


@given(st.integers(-HOUR, MARGIN))
def test_a_job_that_may_be_the_restarted_servers_own_says_nothing(before: int) -> None:
    one, newer = job(1), job(2, accepted_at=NOW - before, missing_since=None)
    assert lost(one, newer, denials=denied(one)) == [one]


def test_a_job_that_the_listing_never_showed_is_not_taken_for_forgotten() -> None:
    one = job(1)
    assert lost(one, denials=denied(one), shown=False) == []


# -- entries of the listing -----------------------------------------------------------------------


def entry(created_at: int | None = None) -> Entry:
    return Entry("video_9", Progress(running=True), created_at)


def before(shown: Entry, *lost_ids: str, known: Known | None = None) -> bool:
    return is_from_before(shown, lost_ids, known, gone_at=NOW, margin=MARGIN)


def ours(accepted_at: int | None) -> Known:
    return Known(True, NOW, accepted_at, VideoRequest("A cat", "wan"))


def test_an_entry_of_a_job_that_seemed_lost_is_from_before() -> None:
    assert before(entry(), "video_9")
    assert not before(entry(), "video_1")


@given(st.integers(0, HOUR))
def test_an_entry_of_ours_is_told_by_when_it_was_accepted(age: int) -> None:
    assert before(entry(NOW), known=ours(NOW - MARGIN - 1 - age))
    assert not before(entry(0), known=ours(NOW - MARGIN + age))
    assert not before(entry(0), known=ours(None))


@given(st.integers(0, HOUR))
def test_an_entry_of_others_is_told_by_its_own_time_and_clocks_may_differ(age: int) -> None:
    assert before(entry(NOW - 120_001 - age))
    assert not before(entry(NOW - 120_000 + age))
    assert not before(entry(None))
