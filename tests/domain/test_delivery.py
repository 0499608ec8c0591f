"""Deliveries by example, where the numbers say more than the model of `test_delivery_model`."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.delivery import Delivery, Outcome, WebhookResponse
from reelhook.domain.event import EventKind
from reelhook.domain.schedule import RetrySchedule

from .deliveries import (
    EMPTY,
    GONE,
    OK,
    PROGRESS,
    REFUSED,
    SCHEDULE,
    SILENT,
    STATUS,
    TERMINAL,
    WISHING,
    offered,
    settle,
)
from .samples import NOW

SECOND, HOUR = 1000, 3_600_000
DEFAULT = RetrySchedule()

# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204, 299])
def test_2xx_is_success(status: int) -> None:
    assert WebhookResponse(duration_ms=1, status=status).succeeded


@pytest.mark.parametrize("status", [None, 199, 300, 304, 307, 404, 410, 500])
def test_nothing_else_is_success(status: int | None) -> None:
    answer = WebhookResponse(duration_ms=1, status=status)
    assert not answer.succeeded
    assert answer.gone == (status == 410)


# -- what waits ------------------------------------------------------------------------------------


def test_progress_that_comes_behind_a_retry_leaves_the_retry_as_it_is() -> None:
    waiting = settle(offered(STATUS), 1, REFUSED)
    later = waiting.offer(2, PROGRESS, NOW + 1000)
    assert (later.attempts, later.due_at) == (waiting.attempts, waiting.due_at) != (0, NOW)


def test_only_the_end_of_a_job_is_marked_as_such_and_only_while_it_waits() -> None:
    assert offered(STATUS, PROGRESS).terminal_at is None
    ended = offered(STATUS, PROGRESS).offer(3, TERMINAL, NOW + 7)
    assert ended.terminal_at == NOW + 7
    assert settle(ended, 3, REFUSED).terminal_at == NOW + 7
    assert settle(ended, 3, OK).terminal_at is None
    assert settle(ended, 3, GONE).terminal_at is None


def test_progress_is_given_up_after_two_attempts() -> None:
    once = settle(offered(PROGRESS), 1, REFUSED)
    assert (once.attempts, once.due_at) == (1, NOW + 5 * SECOND)
    twice = settle(once, 1, REFUSED)
    assert (twice.next_sequence, twice.due_at, twice.outcome) == (None, None, Outcome.EXHAUSTED)


# -- the schedule ----------------------------------------------------------------------------------


def started_at(delivery: Delivery, probes: list[int]) -> list[int]:
    """Return when each attempt goes out, with that many failed probes in each wait."""
    moments = []
    while delivery.due_at is not None:
        now = delivery.due_at
        moments.append(now)
        delivery = settle(delivery, 1, SILENT, now, schedule=DEFAULT)
        for _ in range(probes[len(moments) - 1]):
            delivery = settle(delivery, 1, REFUSED, now + 1, probe=True, schedule=DEFAULT)
    return moments


@given(st.lists(st.integers(0, 5), min_size=13, max_size=13), st.sampled_from([STATUS, TERMINAL]))
def test_the_default_is_13_attempts_over_75_h_42_m_35_s_however_many_probes_go_out_between(
    probes: list[int], kind: EventKind
) -> None:
    moments = started_at(offered(kind), probes)
    assert len(moments) == 13
    assert moments[-1] - moments[0] == (75 * 3600 + 42 * 60 + 35) * SECOND


def test_a_change_of_status_is_given_up_after_the_last_wait_and_frees_the_way() -> None:
    delivery = offered(STATUS, PROGRESS)
    for _ in range(len(SCHEDULE.waits_seconds)):
        delivery = settle(delivery, 1, SILENT)
        assert delivery.next_sequence == 1
    given_up = settle(delivery, 1, SILENT, NOW + 3)
    assert (given_up.next_sequence, given_up.attempts, given_up.due_at) == (2, 0, NOW + 3)
    assert given_up.outcome is Outcome.EXHAUSTED


# -- Retry-After -----------------------------------------------------------------------------------


@given(st.floats(0, 10 * 24 * 3600), st.integers(0, 12))
def test_a_retry_waits_for_the_longer_of_schedule_and_wish_and_a_day_at_most(
    wish_seconds: float, attempts: int
) -> None:
    waiting = replace(offered(TERMINAL), attempts=attempts)
    answer = WebhookResponse(duration_ms=1, status=503, retry_after_seconds=wish_seconds)
    wished = NOW + round(min(wish_seconds, 24 * 3600) * SECOND)
    failed = settle(waiting, 1, answer, schedule=DEFAULT)
    if attempts == 12:
        assert failed.due_at is None
    else:
        assert failed.due_at == max(NOW + DEFAULT.waits_seconds[attempts] * SECOND, wished)
    assert failed.not_before == wished


def test_a_wish_holds_until_the_next_answer() -> None:
    wished = settle(offered(STATUS), 1, WISHING)
    assert wished.not_before == NOW + 60 * SECOND
    assert settle(wished, 1, REFUSED, NOW + 60 * SECOND).not_before is None
    assert settle(wished, 1, OK, NOW + 60 * SECOND).not_before is None


def test_progress_respects_what_the_receiver_wished_for_and_a_change_of_status_goes_ahead() -> None:
    wished = settle(offered(PROGRESS), 1, WISHING)
    assert wished.offer(2, PROGRESS, NOW + 1).due_at == NOW + 60 * SECOND
    assert wished.offer(2, STATUS, NOW + 1).due_at == NOW + 1
    assert wished.offer(2, PROGRESS, NOW + 61 * SECOND).due_at == NOW + 61 * SECOND


def test_progress_behind_a_change_of_status_that_was_given_up_respects_the_wish() -> None:
    last = replace(offered(STATUS, PROGRESS), attempts=len(SCHEDULE.waits_seconds))
    given_up = settle(last, 1, WISHING)
    assert (given_up.next_sequence, given_up.due_at) == (2, NOW + 60 * SECOND)


# -- probes ----------------------------------------------------------------------------------------


def test_a_first_attempt_behind_an_open_breaker_waits_for_the_probe() -> None:
    assert offered(TERMINAL).probe_at(NOW + 5 * SECOND) == NOW + 5 * SECOND


def test_a_retry_goes_out_on_its_schedule_or_as_a_probe_whichever_is_first() -> None:
    waiting = settle(offered(TERMINAL), 1, REFUSED)
    assert waiting.probe_at(NOW + 80 * SECOND) == NOW + 5 * SECOND
    assert waiting.probe_at(NOW + 3 * SECOND) == NOW + 3 * SECOND
    assert not waiting.is_retry_due(NOW + 4 * SECOND)
    assert waiting.is_retry_due(NOW + 5 * SECOND)
    assert not offered(TERMINAL).is_retry_due(NOW + 5 * SECOND)


def test_a_probe_that_is_answered_with_a_wish_is_neither_probed_nor_tried_again_before() -> None:
    for waiting in (offered(TERMINAL), settle(offered(TERMINAL), 1, REFUSED)):
        wished = settle(waiting, 1, WISHING, NOW + SECOND, probe=True)
        assert wished.attempts == waiting.attempts
        assert wished.probe_at(NOW + 10 * SECOND) == NOW + 61 * SECOND
        assert wished.due_at == NOW + 61 * SECOND


def test_a_probe_that_arrives_is_a_delivery_like_any_other() -> None:
    delivered = settle(offered(STATUS, PROGRESS), 1, OK, NOW + 9, probe=True)
    assert (delivered.next_sequence, delivered.due_at) == (2, NOW + 9)
    assert (delivered.outcome, delivered.delivered_sequence) == (Outcome.DELIVERED, 1)


# -- the end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("delivery", [offered(STATUS, PROGRESS), offered(PROGRESS), EMPTY])
def test_410_ends_the_delivery_for_good(delivery: Delivery) -> None:
    ended = settle(delivery, 1, GONE)
    assert (ended.next_sequence, ended.due_at, ended.ended) == (None, None, True)
    assert ended.offer(9, TERMINAL, NOW) is ended


def test_the_state_says_what_waits_or_how_the_last_event_ended() -> None:
    assert EMPTY.state is None
    assert offered(STATUS).state == "waiting"
    assert settle(offered(STATUS), 1, OK).state == "delivered"
    assert settle(offered(STATUS), 1, OK).offer(2, PROGRESS, NOW).state == "waiting"
    assert settle(replace(offered(STATUS), attempts=3), 1, REFUSED).state == "failed"
    assert settle(offered(STATUS), 1, GONE).state == "ended"
