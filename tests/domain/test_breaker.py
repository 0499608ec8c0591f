"""Health beside a plain record of answers, by the words of the promise."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.breaker import CircuitBreaker

from .samples import MINUTE, NOW

SECOND, HOUR = 1000, 60 * MINUTE
PROBES = [5, 10, 20, 40, 80, 160, 300, 300, 300]
"""Seconds from the opening to the first probe, from that to the second, and so on."""


def failing(times: int, health: CircuitBreaker | None = None, now: int = NOW) -> CircuitBreaker:
    """Health after so many failures in a row, none of a probe."""
    health = health or CircuitBreaker()
    for _ in range(times):
        health = health.failed(now, probe=False)
    return health


OPEN = failing(5)

# -- opening ---------------------------------------------------------------------------------------


def test_a_fresh_endpoint_is_trusted() -> None:
    assert not CircuitBreaker().open
    assert CircuitBreaker().allowed(25) == 25


def test_it_opens_after_five_failures_in_a_row_and_not_before() -> None:
    assert not failing(4).open
    assert OPEN.open
    assert OPEN.probe_due_at == NOW + 5 * SECOND


def test_a_success_between_starts_the_count_anew() -> None:
    assert not failing(4, failing(4).succeeded(NOW)).open


def test_failures_in_a_row_count_however_far_apart_they_are() -> None:
    health = CircuitBreaker()
    for number in range(5):
        assert not health.open
        health = health.failed(NOW + number * HOUR, probe=False)
    assert health.open


def alternating(answers: int, apart: int) -> CircuitBreaker:
    """Every other answer is a failure, the last one too."""
    health = CircuitBreaker()
    for number in range(answers):
        now = NOW + number * apart
        health = health.failed(now, probe=False) if number % 2 else health.succeeded(now)
    return health


def test_it_opens_when_half_of_twenty_failed_within_a_minute_and_not_before() -> None:
    assert not alternating(18, SECOND).open
    assert alternating(20, SECOND).open
    assert alternating(20, 3 * SECOND).open


def test_the_same_share_over_more_than_a_minute_opens_nothing() -> None:
    assert not alternating(400, 4 * SECOND).open


@dataclass
class Record:
    """What answers came since the breaker last opened or closed."""

    health: CircuitBreaker = field(default_factory=CircuitBreaker)
    now: int = NOW
    answers: list[tuple[int, bool]] = field(default_factory=list)
    in_a_row: int = 0

    def take(self, *, failed: bool) -> None:
        self.answers.append((self.now, failed))
        self.in_a_row = self.in_a_row + 1 if failed else 0
        if failed:
            self.health = self.health.failed(self.now, probe=False)
        else:
            self.health = self.health.succeeded(self.now)

    def half_failed(self, *, since: int) -> bool:
        recent = [failed for at, failed in self.answers if at > since]
        return len(recent) >= 20 and sum(recent) * 2 >= len(recent)

    def shares(self) -> list[bool]:
        """Whether half failed, for each window of 50 to 60 seconds: it slides in steps of 10."""
        edges = {at for at, _ in self.answers if 50 * SECOND <= self.now - at < 60 * SECOND}
        starts = {self.now - 60 * SECOND, self.now - 50 * SECOND, *edges}
        return [self.half_failed(since=start) for start in starts]


# Never five failures in a row, so that it is the share that decides.
rounds = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from([0, 10, 400, 1000, 2000, 3000, 5000, 9000, 61_000])
    ),
    min_size=12,
    max_size=60,
)


def records(chosen: list[tuple[int, int]]) -> Iterator[Record]:
    """Take rounds of some failures and a success, up to the opening."""
    record = Record()
    for failures, apart in chosen:
        for number in range(failures + 1):
            record.now += apart
            record.take(failed=number < failures)
            yield record
            if record.health.open:
                return


@given(rounds)
def test_it_opens_when_half_of_twenty_or_more_failed_within_a_minute_and_never_else(
    chosen: list[tuple[int, int]],
) -> None:
    for record in records(chosen):
        failed = record.answers[-1][1]
        if record.health.open:
            assert failed
            assert any(record.shares())
        elif failed:
            assert not all(record.shares())


@given(st.lists(st.sampled_from([True, True, False]), max_size=60))
def test_five_failures_in_a_row_always_open_it(chosen: list[bool]) -> None:
    record = Record()
    for failed in chosen:
        if record.health.open:
            break
        record.take(failed=failed)
        assert record.health.open == (record.in_a_row >= 5) or any(record.shares())


@given(rounds, st.integers(0, 500))
def test_however_much_is_answered_little_is_kept_of_it(
    chosen: list[tuple[int, int]], successes: int
) -> None:
    for record in records([*chosen, *[(0, 10)] * successes]):
        assert len(record.health.window) <= 7


# -- probing ---------------------------------------------------------------------------------------


def test_probes_go_out_after_5_10_20_seconds_and_so_on_up_to_five_minutes() -> None:
    health, now, waits = OPEN, NOW, []
    for _ in PROBES:
        assert health.probe_due_at is not None
        waits.append((health.probe_due_at - now) // SECOND)
        now = health.probe_due_at
        health = health.failed(now, probe=True)
    assert waits == PROBES


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400 * SECOND)), min_size=9))
def test_only_the_failure_of_a_probe_doubles_the_wait(chosen: list[tuple[bool, int]]) -> None:
    health, now, probes = OPEN, NOW, 0
    for probe, wait in chosen:
        now += wait
        before, health = health, health.failed(now, probe=probe)
        if not probe:
            assert health.probe_due_at == before.probe_due_at
            assert health.probe_milliseconds == before.probe_milliseconds
            continue
        probes += 1
        expected = PROBES[min(probes, len(PROBES) - 1)] * SECOND
        assert (health.probe_due_at, health.probe_milliseconds) == (now + expected, expected)


@given(st.integers(1, 25), st.integers(0, 20))
def test_one_request_at_a_time_goes_out_while_it_is_open(limit: int, probes: int) -> None:
    health = OPEN
    for _ in range(probes):
        health = health.failed(NOW, probe=True)
    assert health.open
    assert health.allowed(limit) == 1


# -- the way back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("probes", [0, 1, 9])
def test_a_success_closes_it_however_long_it_was_open(probes: int) -> None:
    health = OPEN
    for _ in range(probes):
        health = health.failed(NOW, probe=True)
    back = health.succeeded(NOW)
    assert not back.open
    assert (back.failures, back.failing_since) == (0, None)
    assert failing(5, back).probe_due_at == NOW + 5 * SECOND  # the first probe, once more


@given(st.integers(1, 25))
def test_requests_at_once_ramp_up_1_2_4_and_then_as_many_as_the_endpoint_may_have(
    limit: int,
) -> None:
    health, allowed = OPEN, []
    for _ in range(5):
        health = health.succeeded(NOW)
        allowed.append(health.allowed(limit))
    assert allowed == [1, min(2, limit), min(4, limit), limit, limit]


@given(st.integers(0, 3), st.integers(1, 4))
def test_failures_on_the_way_back_neither_widen_nor_narrow_it_before_it_opens_again(
    successes: int, failures: int
) -> None:
    health = OPEN.succeeded(NOW)
    for _ in range(successes):
        health = health.succeeded(NOW)
    assert failing(failures, health).allowed(25) == health.allowed(25)
    again = failing(5, health)
    assert again.open
    assert again.succeeded(NOW).allowed(25) == 1


def test_what_failed_before_it_closed_counts_no_more() -> None:
    health = OPEN
    for _ in range(20):
        health = health.failed(NOW, probe=True)
    health = health.succeeded(NOW)
    for _ in range(9):
        health = health.failed(NOW, probe=False)
        assert not health.open
        health = health.succeeded(NOW)


# -- worn out --------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.sampled_from([*[True] * 9, False]), st.integers(0, 20 * HOUR)), min_size=9
    ),
    st.booleans(),
)
def test_it_is_worn_out_after_120_hours_and_10_failures_without_a_success(
    chosen: list[tuple[bool, int]], probe: bool
) -> None:
    health, now = CircuitBreaker(), NOW
    since_success: list[int] = []
    for failed, wait in chosen:
        now += wait
        if failed:
            since_success.append(now)
            health = health.failed(now, probe=probe)
        else:
            since_success = []
            health = health.succeeded(now)
        failing_too_long = len(since_success) >= 10 and now - since_success[0] >= 120 * HOUR
        assert health.failing_too_long(now) == failing_too_long


def test_ten_failures_wear_out_on_the_hour_and_not_a_moment_before() -> None:
    since = failing(10)
    assert not since.failing_too_long(NOW + 120 * HOUR - 1)
    assert since.failing_too_long(NOW + 120 * HOUR)
    assert not failing(9).failing_too_long(NOW + 1000 * HOUR)


# -- what is kept ----------------------------------------------------------------------------------


def test_a_restart_forgets_the_window_and_nothing_else() -> None:
    health = failing(3, OPEN.succeeded(NOW))
    assert health.window
    kept = replace(health, window=())
    assert kept.kept == health.kept
    assert replace(health, failures=9).kept != health.kept
