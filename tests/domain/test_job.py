import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.event import Event, EventKind, WireStatus
from reelhook.domain.fallback import fall_back
from reelhook.domain.job import MISSING_TOLERATED_MILLISECONDS, Job, Status
from reelhook.domain.lost_create import dislodged, resubmitted
from reelhook.domain.price import Price
from reelhook.domain.report import Cost, Failed, Finished, Missing, Progress, Report, Unknown
from reelhook.doors.compat.payload import event_body

from .samples import ACCEPTED, IN_DOUBT, MINUTE, NOW, QUEUED, SUBMITTING, UNENDED, reports

Step = tuple[int, Report | str]
WIRE = {
    Status.QUEUED: WireStatus.QUEUED,
    Status.PROCESSING: WireStatus.PROCESSING,
    Status.COMPLETED: WireStatus.COMPLETED,
    Status.FAILED: WireStatus.FAILED,
    Status.CANCELED: WireStatus.FAILED,
}
steps = st.lists(
    st.tuples(st.integers(0, 6 * MINUTE), reports | st.sampled_from(["fail", "cancel"])),
    max_size=30,
)


def take(job: Job, what: Report | str, now: int) -> tuple[Job, tuple[Event, ...]]:
    match what:
        case "fail":
            return job.fail("expired", "too old", now)
        case "cancel":
            return job.cancel(now)
        case str():
            raise AssertionError(what)
        case _:
            return job.apply(what, now)


def live(job: Job, life: list[Step]) -> tuple[list[Job], list[Event]]:
    """Return every state of the job, the first one included, and all events."""
    now, states, events = NOW, [job], list[Event]()
    for wait, what in life:
        now += wait
        job, told = take(job, what, now)
        states.append(job)
        events.extend(told)
    return states, events


# -- properties of every life ----------------------------------------------------------------------


@given(steps)
def test_a_terminal_status_is_never_left(life: list[Step]) -> None:
    states, _ = live(QUEUED, life)
    ends = [state for state in states if state.status.terminal]
    assert all(state is ends[0] for state in ends)
    assert states[len(states) - len(ends) :] == ends


@given(steps)
def test_a_job_has_one_terminal_event_when_it_has_ended_and_none_before(life: list[Step]) -> None:
    states, events = live(QUEUED, life)
    terminal = [event for event in events if event.kind is EventKind.TERMINAL]
    assert len(terminal) == states[-1].status.terminal
    assert not terminal or terminal[0] is events[-1]


@given(steps)
def test_sequences_count_from_one_without_a_gap(life: list[Step]) -> None:
    states, events = live(QUEUED, life)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert states[-1].sequence == len(events)


@given(st.sampled_from(UNENDED), steps)
def test_there_is_an_event_exactly_where_status_or_progress_changed(
    job: Job, life: list[Step]
) -> None:
    states, _ = live(job, life)
    now = NOW
    for before, (wait, what) in zip(states, life, strict=False):
        now += wait
        after, events = take(before, what, now)
        changed = (after.status, after.progress) != (before.status, before.progress)
        assert len(events) == changed


@given(steps)
def test_an_event_tells_the_state_that_it_led_to(life: list[Step]) -> None:
    states, events = live(QUEUED, life)
    told = {event.sequence: event for event in events}
    for state in states:
        if state.sequence:
            event = told[state.sequence]
            assert (event.status, event.progress) == (WIRE[state.status], state.progress)
            assert event.occurred_at == state.updated_at
            assert event.provider_job_id == "video_1"
            assert (event.error, event.code) == (state.error, state.code)
            assert event.provider_video_url == state.content_url
            expires_at = state.content_expires_at
            assert event.content_expires_at == (expires_at and expires_at // 1000)


@given(st.sampled_from(UNENDED), steps)
def test_a_job_that_stays_as_it_was_is_the_same_object(job: Job, life: list[Step]) -> None:
    states, _ = live(job, life)
    for before, after in pairwise(states):
        assert after is before or after != before


@given(st.sampled_from(UNENDED), steps)
def test_what_happens_to_a_job_leaves_its_version_to_the_store(job: Job, life: list[Step]) -> None:
    assert {state.version for state in live(job, life)[0]} == {0}


@given(st.lists(reports, max_size=5))
def test_reports_on_a_job_that_the_provider_does_not_have_change_nothing(
    given_reports: list[Report],
) -> None:
    for job in (ACCEPTED, SUBMITTING, IN_DOUBT):
        for report in given_reports:
            assert job.apply(report, NOW) == (job, ())


# -- acceptance ------------------------------------------------------------------------------------


@pytest.mark.parametrize("percent", [None, 0])
def test_acceptance_itself_is_no_event(percent: int | None) -> None:
    job, events = QUEUED.apply(Progress(running=False, percent=percent), NOW + 5000)
    assert job is QUEUED
    assert events == ()


def test_the_first_difference_from_queued_and_zero_is_the_first_event() -> None:
    job, (event,) = QUEUED.apply(Progress(running=True), NOW + 5000)
    assert (job.status, job.progress, job.updated_at) == (Status.PROCESSING, 0, NOW + 5000)
    assert (event.sequence, event.kind, event.status) == (1, EventKind.STATUS, "processing")


def test_progress_within_a_status_is_a_progress_event() -> None:
    _, (event,) = QUEUED.apply(Progress(running=False, percent=3), NOW)
    assert (event.kind, event.status, event.progress) == (EventKind.PROGRESS, "queued", 3)


def test_a_provider_that_tells_no_progress_keeps_the_last_one() -> None:
    job, _ = QUEUED.apply(Progress(running=True, percent=40), NOW)
    assert job.apply(Progress(running=True), NOW + 1) == (job, ())


def test_the_intent_counts_the_attempt_and_forgets_the_wait() -> None:
    waiting = SUBMITTING.submit_again(NOW + 9000, NOW)
    assert (waiting.status, waiting.submit_due_at) == (Status.ACCEPTED, NOW + 9000)
    again = waiting.submitting(NOW + 9000)
    assert again.status is Status.SUBMITTING
    assert (again.submit_attempts, again.submit_started_at) == (2, NOW + 9000)
    assert again.submit_due_at is None
    assert again.doubt_since is None


def test_acceptance_ends_every_doubt() -> None:
    job = IN_DOUBT.accept("video_9", NOW + 1, adopted=True)
    assert (job.status, job.provider_job_id, job.adopted) == (Status.QUEUED, "video_9", True)
    assert (job.accepted_at, job.doubt_since) == (NOW + 1, None)


def test_a_dislodged_job_is_in_doubt_again_and_counts_its_events_on() -> None:
    adopted = IN_DOUBT.accept("video_9", NOW, adopted=True)
    running, _ = adopted.apply(Progress(running=True, percent=40), NOW + 1)
    doubtful = dislodged(running, NOW + 2)
    assert (doubtful.status, doubtful.doubt_since) == (Status.SUBMITTING, NOW + 2)
    assert (doubtful.provider_job_id, doubtful.adopted, doubtful.accepted_at) == (
        None,
        False,
        None,
    )
    _, (event,) = doubtful.accept("video_10", NOW + 3).apply(Finished("https://x"), NOW + 4)
    assert (event.sequence, event.kind) == (2, EventKind.TERMINAL)


# -- endings ---------------------------------------------------------------------------------------


def test_a_finished_job_is_completed_at_100_percent_with_its_file() -> None:
    job, (event,) = QUEUED.apply(Finished("https://cdn.example/v.mp4", expires_at=123), NOW)
    assert (job.status, job.progress) == (Status.COMPLETED, 100)
    assert (event.kind, event.status) == (EventKind.TERMINAL, WireStatus.COMPLETED)
    assert event.provider_video_url == "https://cdn.example/v.mp4"
    assert (job.content_expires_at, event.content_expires_at) == (123_000, 123)


def test_a_failed_job_keeps_its_progress_and_the_providers_words() -> None:
    running, _ = QUEUED.apply(Progress(running=True, percent=50), NOW)
    job, (event,) = running.apply(Failed("moderation", "Not this prompt"), NOW + 1)
    assert (job.status, job.progress) == (Status.FAILED, 50)
    assert (event.error, event.code) == ("Not this prompt", "moderation")


@pytest.mark.parametrize("job", UNENDED, ids=lambda job: job.status.value)
def test_canceled_is_told_as_failed_with_error_canceled(job: Job) -> None:
    canceled, (event,) = job.cancel(NOW + 1)
    assert canceled.status is Status.CANCELED
    assert (event.kind, event.status) == (EventKind.TERMINAL, WireStatus.FAILED)
    assert (event.error, event.code) == ("canceled", "canceled")


@pytest.mark.parametrize("job", [ACCEPTED, SUBMITTING, IN_DOUBT], ids=["new", "sent", "doubt"])
def test_a_job_that_ends_unaccepted_tells_it_once_without_a_providers_id(job: Job) -> None:
    failed, (event,) = job.fail("submission_unknown", "Nobody knows", NOW + 1)
    assert (event.sequence, event.provider_job_id) == (1, None)
    assert (failed.submit_due_at, failed.doubt_since) == (None, None)
    assert failed.fail("expired", "again", NOW + 2) == (failed, ())
    assert failed.cancel(NOW + 2) == (failed, ())


@given(st.lists(st.tuples(st.integers(0, 10**10), st.text()), max_size=20))
def test_an_unknown_status_never_ends_a_job(life: list[tuple[int, str]]) -> None:
    _, events = live(QUEUED, [(wait, Unknown(status)) for wait, status in life])
    assert events == []


# -- missing ---------------------------------------------------------------------------------------

present = st.sampled_from([Progress(running=False), Unknown("NOT_START")])


def test_a_missing_job_fails_after_ten_minutes_of_404() -> None:
    job, events = QUEUED.apply(Missing(), NOW)
    assert (job.missing_since, events) == (NOW, ())
    assert job.apply(Missing(), NOW + MISSING_TOLERATED_MILLISECONDS - 1) == (job, ())
    failed, (event,) = job.apply(Missing(), NOW + MISSING_TOLERATED_MILLISECONDS)
    assert (failed.status, event.code) == (Status.FAILED, "provider_error")
    assert MISSING_TOLERATED_MILLISECONDS == 10 * MINUTE


def test_a_single_404_fails_nothing_however_late_it_comes() -> None:
    job, events = QUEUED.apply(Missing(), NOW + 10**9)
    assert job.status is Status.QUEUED
    assert events == ()


@given(present, st.integers(0, 9 * MINUTE), st.integers(0, 9 * MINUTE))
def test_a_job_that_shows_up_again_starts_the_ten_minutes_anew(
    report: Report, first: int, second: int
) -> None:
    job, _ = QUEUED.apply(Missing(), NOW)
    job, events = job.apply(report, NOW + first)
    assert (job.missing_since, events) == (None, ())
    job, _ = job.apply(Missing(), NOW + first)
    job, events = job.apply(Missing(), NOW + first + second)
    assert not job.status.terminal
    assert events == ()


def test_an_ending_forgets_that_the_job_was_missing() -> None:
    job, _ = QUEUED.apply(Missing(), NOW)
    assert job.cancel(NOW + 1)[0].missing_since is None


# -- sent once more --------------------------------------------------------------------------------


def test_a_job_that_its_provider_lost_waits_to_be_created_as_if_it_never_was() -> None:
    running, _ = replace(QUEUED, adopted=True, submit_attempts=3, submit_after="a b").apply(
        Progress(running=True, percent=40), NOW
    )
    missing, _ = running.apply(Missing(), NOW)
    job, (event,) = resubmitted(missing, NOW + 5)
    assert (job.status, job.progress, job.provider_job_id) == (Status.ACCEPTED, 0, None)
    assert (job.adopted, job.accepted_at, job.missing_since) == (False, None, None)
    assert (job.submit_attempts, job.submit_due_at, job.submit_after) == (0, NOW + 5, None)
    assert job.forgotten == 1
    assert (event.status, event.progress) == (WireStatus.QUEUED, 0)
    assert event.sequence == job.sequence == running.sequence + 1


def test_clients_who_heard_nothing_of_a_lost_job_are_told_nothing() -> None:
    job, events = resubmitted(QUEUED, NOW)
    assert (job.status, job.sequence, events) == (Status.ACCEPTED, QUEUED.sequence, ())


@given(st.sampled_from(UNENDED), st.sampled_from([True, False, None]))
def test_a_canceled_job_keeps_what_became_of_its_render(job: Job, stopped: bool | None) -> None:
    canceled, _ = job.cancel(NOW, stopped=stopped)
    assert canceled.stopped is stopped
    assert canceled.cancel(NOW + 1, stopped=not stopped) == (canceled, ())


# -- another model --------------------------------------------------------------------------------


def sent_on(job: Job, *, now: int = NOW + 5) -> tuple[Job, tuple[Event, ...]]:
    return fall_back(
        job,
        account="fal-eu",
        provider="fal",
        model="fal-ai/veo2",
        pinned=False,
        estimate=Price(2.5, "USD"),
        given_up=1,
        code="quota",
        message="No money",
        now=now,
    )


def test_a_job_that_is_sent_on_begins_anew_with_its_next_model() -> None:
    job, _ = sent_on(replace(SUBMITTING, submit_attempts=7, provider="ark", model="seedance"))
    assert (job.status, job.account, job.provider) == (Status.ACCEPTED, "fal-eu", "fal")
    assert (job.model, job.fallback, job.model_since) == ("fal-ai/veo2", 1, NOW + 5)
    assert (job.submit_attempts, job.submit_due_at, job.doubt_since) == (0, NOW + 5, None)
    assert (job.id, job.created_at) == (SUBMITTING.id, SUBMITTING.created_at)
    assert (job.error, job.code) == (None, None)
    assert (job.estimated_amount, job.estimated_unit) == (2.5, "USD")


def test_the_step_to_another_model_is_one_event_that_says_why() -> None:
    job, [event] = sent_on(replace(SUBMITTING, sequence=2))
    assert (event.kind, event.sequence) == (EventKind.FALLBACK, 3)
    assert job.sequence == 3
    assert (event.model, event.code, event.error) == ("fal/fal-ai/veo2", "quota", "No money")
    assert (event.provider_job_id, event.occurred_at) == (None, NOW + 5)
    assert json.loads(event_body(event, "https://us.example/v")) == {
        "jobId": job.id,
        "soraJobId": None,
        "status": "queued",
        "progress": 0,
        "fallback": "fal/fal-ai/veo2",
        "error": "No money",
        "code": "quota",
        "timestamp": "2026-01-01T00:00:00.005Z",
        "sequence": 3,
    }


def test_a_job_that_was_sent_on_goes_its_way_and_ends_once() -> None:
    job, _ = sent_on(SUBMITTING)
    accepted = job.submitting(NOW + 6).accept("req_1", NOW + 7, quote=Cost(0.5, "USD"))
    ended, [event] = accepted.apply(Finished("https://f", cost=Cost(0.75, "USD")), NOW + 8)
    assert (ended.status, ended.sequence, event.sequence) == (Status.COMPLETED, 2, 2)
    assert (ended.quoted_amount, ended.charged_amount) == (0.5, 0.75)
    assert ended.quoted_unit == ended.charged_unit == "USD"


def test_a_failure_may_cost_too() -> None:
    ended, _ = QUEUED.apply(Failed("moderation", "no", cost=Cost(3, "credits")), NOW)
    assert (ended.charged_amount, ended.charged_unit) == (3, "credits")


def test_a_sibling_takes_a_job_over_whole() -> None:
    assert ACCEPTED.taken_over(ACCEPTED.account) is ACCEPTED
    assert ACCEPTED.taken_over("other") == replace(ACCEPTED, account="other")


def test_only_a_doubt_that_nobody_settled_is_one() -> None:
    unknown, _ = IN_DOUBT.fail("submission_unknown", "Nobody knows", NOW)
    assert [job.in_doubt_now for job in (ACCEPTED, SUBMITTING, IN_DOUBT, QUEUED, unknown)] == [
        *(False, False, True, False, True)
    ]
    assert not replace(unknown, doubt_closed_at=NOW).in_doubt_now
