"""Deliveries beside a plain list of waiting events, by the words of the promise."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.delivery import Delivery, WebhookResponse
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
)
from .samples import NOW, seeded


@dataclass
class Model:
    """A plain list of waiting events."""

    random: Random
    waiting: list[tuple[int, EventKind]] = field(default_factory=list)
    attempts: int = 0
    due_at: int | None = None
    not_before: int = 0
    ended: bool = False

    @property
    def next(self) -> int | None:
        return self.waiting[0][0] if self.waiting else None

    def offer(self, sequence: int, kind: EventKind, now: int) -> None:
        if self.ended:
            return
        head = self.next
        self.waiting = [one for one in self.waiting if kind is PROGRESS and one[1] is not PROGRESS]
        self.waiting.append((sequence, kind))
        if self.next != head:
            self._begin(now if kind is not PROGRESS else max(now, self.not_before))

    def settle(self, sequence: int, answer: WebhookResponse, now: int, *, probe: bool) -> None:
        if answer.gone:
            self.waiting, self.attempts, self.due_at, self.ended = [], 0, None, True
            return
        wish = answer.retry_after_seconds
        self.not_before = 0 if wish is None else now + round(wish * 1000)
        if self.due_at is None or sequence != self.next:
            return
        if answer.succeeded:
            self._go_on(now)
        elif probe:
            self.due_at = max(self.due_at, self.not_before)
        else:
            self._failed(answer, now)

    def _failed(self, answer: WebhookResponse, now: int) -> None:
        wait = SCHEDULE.delay_after(
            self.attempts + 1,
            progress=self.waiting[0][1] is PROGRESS,
            retry_after_seconds=answer.retry_after_seconds,
            random=self.random,
        )
        if wait is None:
            self._go_on(now)
        else:
            self.attempts, self.due_at = self.attempts + 1, now + round(wait * 1000)

    def _go_on(self, now: int) -> None:
        self.waiting.pop(0)
        self._begin(max(now, self.not_before))

    def _begin(self, due_at: int) -> None:
        self.attempts, self.due_at = 0, due_at if self.waiting else None


Action = EventKind | tuple[WebhookResponse, bool] | Literal["start"]
"""An event, an answer (and whether the attempt was a probe), or the start of an attempt."""
action: st.SearchStrategy[Action] = st.one_of(
    st.sampled_from([*[PROGRESS] * 6, *[STATUS] * 3, TERMINAL]),
    st.tuples(st.sampled_from([OK, *[REFUSED, SILENT, WISHING] * 4, GONE]), st.booleans()),
    st.just("start"),
)
actions = st.lists(st.tuples(action, st.integers(0, 40_000)), min_size=12, max_size=40)


@dataclass
class Run:
    """A delivery and its model, with at most one attempt under way; and what became of events."""

    seed: int
    delivery: Delivery = EMPTY
    now: int = NOW
    sequence: int = 0
    ended: bool = False
    under_way: int | None = None
    history: list[tuple[str, int]] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = Model(seeded(self.seed))
        self.random = seeded(self.seed)

    def take(self, action: Action) -> None:
        match action:
            case EventKind():
                self._offer(action)
            case "start":
                self._start()
            case answer, probe:
                self._settle(answer, probe=probe)

    def _start(self) -> None:
        if self.under_way is None and self.delivery.next_sequence is not None:
            self.under_way = self.delivery.next_sequence
            self.history.append(("started", self.under_way))

    def _offer(self, kind: EventKind) -> None:
        if self.ended or self.delivery.ended:  # a job's terminal event is its last
            return
        self.sequence += 1
        self.ended = kind is TERMINAL
        before = self.delivery
        self.delivery = before.offer(self.sequence, kind, self.now)
        self.model.offer(self.sequence, kind, self.now)
        self.dropped += before.dropped_by(self.delivery)

    def _settle(self, answer: WebhookResponse, *, probe: bool) -> None:
        self._start()
        if self.under_way is None:
            return
        sequence, self.under_way = self.under_way, None
        before = self.delivery
        self.delivery = before.settle(
            sequence, answer, self.now, probe=probe, schedule=SCHEDULE, random=self.random
        )
        self.model.settle(sequence, answer, self.now, probe=probe)
        if answer.succeeded:
            self.arrived.append(sequence)
        else:
            self.dropped += before.dropped_by(self.delivery)
        if self.delivery.next_sequence != sequence:
            self.history.append(("settled", sequence))


def steps(seed: int, chosen: list[tuple[Action, int]]) -> Iterator[Run]:
    """Take the actions one by one, and hand out the run after each."""
    run = Run(seed)
    yield run
    for action, wait in chosen:
        run.now += wait
        run.take(action)
        yield run


def waiting(delivery: Delivery) -> list[int]:
    slots = (delivery.status_sequence, delivery.progress_sequence)
    return [one for one in slots if one is not None]


@given(st.integers(), actions)
def test_a_delivery_does_what_a_plain_list_of_waiting_events_would(
    seed: int, chosen: list[tuple[Action, int]]
) -> None:
    for run in steps(seed, chosen):
        delivery, model = run.delivery, run.model
        assert waiting(delivery) == [one for one, _ in model.waiting]
        assert delivery.next_sequence == model.next
        assert (delivery.attempts, delivery.due_at) == (model.attempts, model.due_at)
        assert delivery.ended == model.ended


@given(st.integers(), actions)
def test_at_most_one_change_of_status_and_one_of_progress_wait_in_this_order(
    seed: int, chosen: list[tuple[Action, int]]
) -> None:
    for run in steps(seed, chosen):
        assert waiting(run.delivery) == sorted(waiting(run.delivery))
        assert (run.delivery.due_at is None) == (run.delivery.next_sequence is None)


@given(st.integers(), actions)
def test_no_event_is_started_after_itself_or_a_later_one_was_settled(
    seed: int, chosen: list[tuple[Action, int]]
) -> None:
    *_, run = steps(seed, chosen)
    settled = 0
    for what, sequence in run.history:
        if what == "started":
            assert sequence > settled
        else:
            settled = max(settled, sequence)


@given(st.integers(), actions)
def test_among_first_deliveries_sequence_never_falls(
    seed: int, chosen: list[tuple[Action, int]]
) -> None:
    for run in steps(seed, chosen):
        assert run.arrived == sorted(set(run.arrived))
        assert run.delivery.delivered_sequence == max(run.arrived, default=None)


@given(st.integers(), actions)
def test_what_neither_arrived_nor_waits_was_dropped_once(
    seed: int, chosen: list[tuple[Action, int]]
) -> None:
    for run in steps(seed, chosen):
        assert len(run.dropped) == len(set(run.dropped))
        assert not set(run.dropped) & set(waiting(run.delivery))
        known = {*run.arrived, *run.dropped, *waiting(run.delivery)}
        assert known == set(range(1, run.sequence + 1))


@given(st.integers(), actions, st.sampled_from([REFUSED, SILENT, WISHING]))
def test_a_probe_that_fails_burns_no_attempt_and_drops_nothing(
    seed: int, chosen: list[tuple[Action, int]], answer: WebhookResponse
) -> None:
    *_, run = steps(seed, chosen)
    before, dropped = run.delivery, list(run.dropped)
    run.take((answer, True))
    assert (run.delivery.attempts, waiting(run.delivery)) == (before.attempts, waiting(before))
    assert run.delivery.outcome == before.outcome
    assert run.dropped == dropped


@given(st.integers(), actions)
def test_the_last_event_is_sent_at_last_unless_the_receiver_is_gone(
    seed: int, chosen: list[tuple[Action, int]]
) -> None:
    run = Run(seed)
    for one in [*(one for one, _ in chosen if (one[0] is not GONE)), TERMINAL]:
        run.take(one)
    for _ in range(3):
        run.take((OK, False))
    assert run.delivery.next_sequence is None
    assert run.history[-1] == ("settled", run.sequence)
