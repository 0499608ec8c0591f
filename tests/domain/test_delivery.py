import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.delivery import LANES, Answer, Delivery, endpoint_id, lane_of
from reelhook.domain.event import EventKind

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

# -- single rules ----------------------------------------------------------------------------------


def test_progress_never_supersedes_a_waiting_change_of_status() -> None:
    delivery = offered(STATUS, PROGRESS, PROGRESS)
    assert (delivery.status_sequence, delivery.progress_sequence) == (1, 3)
    assert delivery.next_sequence == 1


def test_progress_that_comes_behind_a_retry_leaves_the_retry_as_it_is() -> None:
    waiting = settle(offered(STATUS), 1, REFUSED)
    later = waiting.offer(2, PROGRESS, NOW + 1000)
    assert (later.attempts, later.due_at) == (waiting.attempts, waiting.due_at) != (0, NOW)


def test_newer_progress_supersedes_older_progress_and_starts_its_own_attempts() -> None:
    delivery = settle(offered(PROGRESS), 1, REFUSED).offer(2, PROGRESS, NOW + 1)
    assert (delivery.next_sequence, delivery.attempts, delivery.due_at) == (2, 0, NOW + 1)


@pytest.mark.parametrize("kind", [STATUS, TERMINAL])
def test_a_change_of_status_supersedes_all_and_is_due_at_once(kind: EventKind) -> None:
    waiting = settle(offered(STATUS, PROGRESS), 1, REFUSED)
    delivery = waiting.offer(3, kind, NOW + 7)
    assert (delivery.status_sequence, delivery.progress_sequence) == (3, None)
    assert (delivery.attempts, delivery.due_at) == (0, NOW + 7)


@pytest.mark.parametrize("answer", [OK, REFUSED, SILENT, WISHING])
def test_the_answer_to_a_superseded_event_changes_nothing(answer: Answer) -> None:
    delivery = offered(STATUS, TERMINAL)
    assert settle(delivery, 1, answer, NOW + 9) is delivery


def test_progress_follows_at_once_when_the_change_of_status_arrived() -> None:
    delivery = settle(offered(STATUS, PROGRESS), 1, OK, NOW + 9)
    assert (delivery.next_sequence, delivery.attempts, delivery.due_at) == (2, 0, NOW + 9)


def test_nothing_is_due_when_all_arrived() -> None:
    delivery = settle(offered(TERMINAL), 1, OK)
    assert (delivery.next_sequence, delivery.due_at, delivery.ended) == (None, None, False)


def test_progress_is_given_up_after_two_attempts() -> None:
    once = settle(offered(PROGRESS), 1, REFUSED)
    assert once.attempts == 1
    assert once.due_at is not None
    twice = settle(once, 1, REFUSED)
    assert (twice.next_sequence, twice.due_at) == (None, None)


def test_a_change_of_status_is_given_up_after_the_last_wait_and_frees_the_way() -> None:
    delivery = offered(STATUS, PROGRESS)
    for _ in range(len(SCHEDULE.waits_seconds)):
        delivery = settle(delivery, 1, SILENT)
        assert delivery.next_sequence == 1
    given_up = settle(delivery, 1, SILENT, NOW + 3)
    assert (given_up.next_sequence, given_up.attempts, given_up.due_at) == (2, 0, NOW + 3)


def test_a_retry_waits_as_long_as_the_receiver_wishes_and_never_less_than_the_schedule() -> None:
    assert settle(offered(STATUS), 1, WISHING).due_at == NOW + 60_000
    due_at = settle(offered(STATUS), 1, REFUSED).due_at
    assert due_at is not None
    assert NOW + 5000 <= due_at <= NOW + 6000


@pytest.mark.parametrize("delivery", [offered(STATUS, PROGRESS), offered(PROGRESS), EMPTY])
def test_410_ends_the_delivery_for_good(delivery: Delivery) -> None:
    ended = settle(delivery, 1, GONE)
    assert (ended.next_sequence, ended.due_at, ended.ended) == (None, None, True)
    assert ended.offer(9, TERMINAL, NOW) is ended


def test_410_ends_the_delivery_even_as_the_answer_to_a_superseded_event() -> None:
    ended = settle(offered(STATUS, TERMINAL), 1, GONE)
    assert (ended.next_sequence, ended.ended) == (None, True)


@pytest.mark.parametrize("status", [200, 204, 299])
def test_2xx_is_success(status: int) -> None:
    assert Answer(duration_ms=1, status=status).succeeded


@pytest.mark.parametrize("status", [None, 199, 300, 304, 307, 404, 410, 500])
def test_nothing_else_is_success(status: int | None) -> None:
    answer = Answer(duration_ms=1, status=status)
    assert not answer.succeeded
    assert answer.gone == (status == 410)


# -- endpoints and lanes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "same_as"),
    [
        ("https://h.example/hook?job=1", "https://h.example/hook"),
        ("https://h.example:443/hook", "https://h.example/hook"),
        ("http://h.example:80/hook", "http://h.example/hook"),
        ("HTTPS://H.Example/hook", "https://h.example/hook"),
        ("https://h.example", "https://h.example/"),
        ("https://h.example/hook#part", "https://h.example/hook"),
    ],
)
def test_an_endpoint_is_scheme_host_port_and_path(url: str, same_as: str) -> None:
    assert endpoint_id(url) == endpoint_id(same_as)


def test_endpoints_differ_by_scheme_host_port_and_path() -> None:
    urls = [
        *("http://h.example/hook", "https://h.example/hook", "https://i.example/hook"),
        *("https://h.example:8443/hook", "https://h.example/Hook", "https://h.example/hook/"),
    ]
    assert len({endpoint_id(url) for url in urls}) == len(urls)


@given(st.text())
def test_a_lane_is_one_of_the_lanes_and_always_the_same(endpoint: str) -> None:
    assert lane_of(endpoint) in range(LANES)
    assert lane_of(endpoint) == lane_of(endpoint)


def test_the_lanes_of_stored_deliveries_stay_what_they_are() -> None:
    assert LANES == 16
    assert lane_of("http://a:80/") == 6
    assert lane_of("https://example.com:443/hook") == 5
