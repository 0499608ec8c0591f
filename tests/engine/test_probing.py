"""Probing as a unit: a few probes go at once, very many go at a steady pace."""

from hypothesis import given
from hypothesis import strategies as st

from reelhook.engine.probing import BATCH, PROBES_AT_ONCE, PROBES_PER_SECOND, Probing


def test_a_few_probes_go_at_once_after_a_quiet_while() -> None:
    probing = Probing()
    assert probing.allowed(0) == PROBES_AT_ONCE
    probing.spend(3, PROBES_AT_ONCE)
    assert probing.allowed(0) == PROBES_AT_ONCE - 3
    assert probing.seconds_left() is None


def test_when_more_are_due_than_may_go_the_next_ones_go_in_batches() -> None:
    probing = Probing()
    probing.spend(PROBES_AT_ONCE, probing.allowed(0))
    assert probing.allowed(1) == 0
    assert probing.seconds_left() == (BATCH - PROBES_PER_SECOND / 1000) / PROBES_PER_SECOND
    batch_at = 1000 * BATCH // PROBES_PER_SECOND
    assert probing.allowed(batch_at - 1) == 0
    assert probing.allowed(batch_at) == BATCH


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    probing = Probing()
    probing.spend(PROBES_AT_ONCE - 10, probing.allowed(10_000))
    assert probing.allowed(0) == 10


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 200)), max_size=50))
def test_however_many_are_due_the_pace_holds(looks: list[tuple[int, int]]) -> None:
    probing, now, gone = Probing(), 0, 0
    for milliseconds, due in looks:
        now += milliseconds
        allowed = probing.allowed(now)
        assert 0 <= allowed <= PROBES_AT_ONCE
        probing.spend(min(due, allowed), allowed)
        gone += min(due, allowed)
        assert gone <= PROBES_AT_ONCE + now * PROBES_PER_SECOND / 1000
