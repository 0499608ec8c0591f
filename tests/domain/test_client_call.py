"""Which retry belongs to which call: nothing is paid twice, and no two bodies share a job."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.client_call import ClientCall, EarlierCall, NotSettled, call_of

from .retrying_clients import Call, Outcome, Simulation, Try
from .samples import NOW

MINUTE = 60_000
AGO = NOW - 2000
ANSWERED = EarlierCall("call_1", NOW, AGO, "job_1", answered=0b1)


def tried(count: int | None, timeout_seconds: float = 600) -> ClientCall:
    return ClientCall("videos", "body", count, timeout_seconds)


# -- the rule, case by case ------------------------------------------------------------------------


def test_a_retry_belongs_to_a_call_that_has_not_answered_its_count() -> None:
    assert call_of(tried(1), [ANSWERED], NOW) == ANSWERED
    assert call_of(tried(0), [ANSWERED], NOW) is None
    assert call_of(tried(1), [replace(ANSWERED, answered=0b11)], NOW) is None


def test_a_try_that_its_own_retry_overtook_gets_the_retry_s_job() -> None:
    overtaken = replace(ANSWERED, answered=0b100)
    assert call_of(tried(0), [overtaken], NOW + 2 * MINUTE) == overtaken
    assert call_of(tried(0), [overtaken], NOW + 2 * MINUTE + 1) is None
    assert call_of(tried(1), [overtaken], NOW) == overtaken


@pytest.mark.parametrize(("count", "minutes"), [(1, 12), (2, 24), (3, 36)])
def test_a_retry_comes_within_its_time_outs_and_waits(count: int, minutes: int) -> None:
    assert call_of(tried(count), [ANSWERED], NOW + minutes * MINUTE) == ANSWERED
    assert call_of(tried(count), [ANSWERED], NOW + minutes * MINUTE + 1) is None
    assert call_of(tried(count, 1), [ANSWERED], NOW + count * (2 * MINUTE + 1000)) == ANSWERED
    assert call_of(tried(count, 1), [ANSWERED], NOW + count * (2 * MINUTE + 1000) + 1) is None


def test_of_several_calls_the_likeliest_is_taken() -> None:
    oldest, older, highest, refused, lost = (
        EarlierCall("call_1", NOW, AGO, "job_1", answered=0b1),
        EarlierCall("call_2", NOW + 1, AGO, "job_2", answered=0b1),
        EarlierCall("call_3", NOW + 2, AGO, "job_3", answered=0b11),
        EarlierCall("call_4", NOW + 3, AGO, None, answered=0b1),
        EarlierCall("call_5", NOW + 4, AGO, "job_5", answered=0b1, lost=True),
    )
    in_order = [highest, lost, refused, oldest, older]
    for first, expected in enumerate(in_order):
        assert call_of(tried(2), [*in_order[:first:-1], expected], NOW + 5) == expected
    overtaken = replace(oldest, answered=0b1000)
    assert call_of(tried(2), [overtaken, older], NOW + 5) == older


def test_a_refused_call_waits_two_minutes_for_its_retry() -> None:
    refused = replace(ANSWERED, job_id=None, answered_at=NOW)
    assert call_of(tried(1), [refused], NOW + 2 * MINUTE) == refused
    assert call_of(tried(1), [refused], NOW + 2 * MINUTE + 1) is None


def test_a_client_without_counts_gets_only_a_lost_job() -> None:
    kept = EarlierCall("call_1", NOW, NOW, "job_1")
    lost = EarlierCall("call_2", NOW, NOW, "job_2", lost=True)
    assert call_of(tried(None), [kept, lost], NOW) == lost
    assert call_of(tried(None), [kept], NOW) is None
    assert call_of(tried(None), [lost], NOW + 12 * MINUTE + 1) is None


def test_a_count_that_is_too_high_to_remember_still_finds_its_call() -> None:
    many = replace(ANSWERED, answered=2**62 - 1)
    assert call_of(tried(61), [many], NOW) is None
    assert call_of(tried(62), [many], NOW) == call_of(tried(1000), [many], NOW) == many


# -- clients, losses, refusals, restarts, balancers ------------------------------------------------

DELAYS = st.integers(0, 3000)
LAST = Try(known=True, fails_after=10_000)
FATES = st.builds(
    Try,
    arrives_after=st.none() | DELAYS,
    responds_after=st.none() | DELAYS,
    known=st.booleans(),
    refused=st.booleans(),
    unmatched=st.booleans(),
    fails_after=st.sampled_from([1, 100, 1500]),
    pause=st.integers(375, 2000),
)


def calls(bodies: str, used_after: st.SearchStrategy[int | None]) -> st.SearchStrategy[list[Call]]:
    tries = st.lists(FATES, max_size=4).map(lambda fates: (*fates, LAST))
    one = st.builds(Call, st.sampled_from(bodies), st.integers(0, 4000), tries, used_after)
    return st.lists(one, min_size=1, max_size=5)


@given(calls=calls("ab", st.none() | st.integers(0, 1500)), aborts=st.booleans())
def test_no_more_is_paid_for_than_was_called(calls: list[Call], *, aborts: bool) -> None:
    """Each client's last try succeeds. Only a try that a network held back past the use of its
    job can't be distinguished from a call that is made on purpose.
    """
    outcome = Simulation(calls, aborts=aborts).run()
    assert set(outcome.ids) == set(range(len(calls)))
    for body in "ab":
        made = [number for number, call in enumerate(calls) if call.body == body]
        assert {outcome.ids[number] for number in made} <= set(outcome.jobs(body))
        assert len(outcome.jobs(body)) <= len(made) + outcome.too_late
    assert not (aborts and outcome.too_late)


@given(calls=calls("abcde", st.none() | st.integers(0, 1500)), aborts=st.booleans())
def test_a_body_that_is_called_once_is_paid_for_once(calls: list[Call], *, aborts: bool) -> None:
    alone = [replace(call, body=str(number)) for number, call in enumerate(calls)]
    outcome = Simulation(alone, aborts=aborts).run()
    if not outcome.too_late:
        assert len(outcome.paid) == len(set(outcome.ids.values())) == len(alone)


@given(calls=calls("a", st.integers(0, 1500)))
def test_equal_calls_one_after_the_other_are_different_jobs(calls: list[Call]) -> None:
    apart = [replace(call, at=number * 60_000) for number, call in enumerate(calls)]
    outcome = Simulation(apart, aborts=True).run()
    assert len(set(outcome.ids.values())) == len(outcome.paid) == len(apart)


def run(*calls: Call) -> Outcome:
    return Simulation(calls, aborts=False).run()


LOST, UNREAD, REFUSED = Try(responds_after=None), Try(arrives_after=None), Try(refused=True)


def test_of_two_calls_in_flight_a_retry_may_get_the_other_s_job_but_pays_for_no_third() -> None:
    first, second = Call("a", 0, (LOST, LOST, Try())), Call("a", 10, (UNREAD, Try()))
    assert len(run(first, second).paid) == 2


def test_a_refusal_is_one_try_and_no_job() -> None:
    waiting = Call("a", 0, (Try(),), used_after=None)
    outcome = run(waiting, Call("a", 100, (REFUSED, Try()), used_after=None))
    assert len(outcome.paid) == len(set(outcome.ids.values())) == 2


def test_a_retry_that_the_database_refuses_belongs_to_the_call_of_the_lost_response() -> None:
    away = Try(unmatched=True)
    outcome = run(Call("a", 0, (LOST, away, Try()), used_after=None))
    assert len(outcome.paid) == 1


def test_tries_that_arrive_in_any_order_share_one_job() -> None:
    """The count alone would not do: here the retry 1 arrives after the retry 2."""
    slow = Try(arrives_after=5000, fails_after=100)
    assert len(run(Call("a", 0, (LOST, slow, LOST, Try()), used_after=None)).paid) == 1
    assert len(run(Call("a", 0, (slow, slow, Try()), used_after=None)).paid) == 1


def test_a_fresh_response_is_left_to_its_own_client_for_a_moment() -> None:
    fresh = replace(ANSWERED, answered_at=NOW)
    overtaken = replace(fresh, answered=0b10)
    for call, earlier in ((tried(1), fresh), (tried(0), overtaken)):
        assert call_of(call, [earlier], NOW) == NotSettled(NOW + 2000)
        assert call_of(call, [earlier], NOW, waits=False) == earlier
        assert call_of(call, [earlier], NOW + 2000) == earlier
    assert call_of(tried(1, 1), [fresh], NOW) == NotSettled(NOW + 125)
    settled = replace(ANSWERED, id="call_2")
    assert call_of(tried(1), [fresh, settled], NOW) == settled
