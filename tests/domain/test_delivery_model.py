"""Deliveries beside a plain list of waiting events, by the words of the promise."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.delivery import Answer, Delivery
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
        self._head_may_have_changed(head, now)

    def settle(self, sequence: int, answer: Answer, now: int) -> None:
        if answer.gone:
            self.waiting, self.due_at, self.ended = [], None, True
            return
        if sequence != self.next:
            return
        wait = None
        if not answer.succeeded:
            wait = SCHEDULE.delay_after(
                self.attempts + 1,
                progress=self.waiting[0][1] is PROGRESS,
                retry_after_seconds=answer.retry_after_seconds,
                random=self.random,
            )
        if wait is None:
            self.waiting.pop(0)
            self._head_may_have_changed(sequence, now)
        else:
            self.attempts, self.due_at = self.attempts + 1, now + round(wait * 1000)

    def _head_may_have_changed(self, head: int | None, now: int) -> None:
        if self.next != head:
            self.attempts, self.due_at = 0, now if self.waiting else None


Action = EventKind | Answer | Literal["start"]
action: st.SearchStrategy[Action] = st.one_of(
    st.sampled_from([PROGRESS, PROGRESS, STATUS, TERMINAL]),
    st.sampled_from([OK, REFUSED, SILENT, WISHING]),
    st.just(GONE),
    st.just("start"),
)
actions = st.lists(st.tuples(action, st.integers(0, 40_000)), max_size=40)


@dataclass
class Run:
    """A delivery and its model, with at most one attempt under way; `history` is what was done."""

    seed: int
    delivery: Delivery = EMPTY
    now: int = NOW
    sequence: int = 0
    ended: bool = False
    under_way: int | None = None
    history: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = Model(seeded(self.seed))
        self.random = seeded(self.seed)

    def take(self, action: Action) -> None:
        if isinstance(action, EventKind):
            self._offer(action)
        elif isinstance(action, Answer):
            self._settle(action)
        elif self.under_way is None and self.delivery.next_sequence is not None:
            self.under_way = self.delivery.next_sequence
            self.history.append(("started", self.under_way))

    def _offer(self, kind: EventKind) -> None:
        if self.ended:  # a job's terminal event is its last
            return
        self.sequence += 1
        self.ended = kind is TERMINAL
        self.delivery = self.delivery.offer(self.sequence, kind, self.now)
        self.model.offer(self.sequence, kind, self.now)

    def _settle(self, answer: Answer) -> None:
        if self.under_way is None:
            return
        sequence, self.under_way = self.under_way, None
        before = self.delivery
        self.delivery = before.settle(
            sequence, answer, self.now, schedule=SCHEDULE, random=self.random
        )
        self.model.settle(sequence, answer, self.now)
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


@given(st.integers(), actions)
def test_a_delivery_does_what_a_plain_list_of_waiting_events_would(
    seed: int, chosen: list[tuple[Action, int]]
) -> None:
    for run in steps(seed, chosen):
        delivery, model = run.delivery, run.model
        slots = (delivery.status_sequence, delivery.progress_sequence)
        assert [one for one in slots if one is not None] == [one for one, _ in model.waiting]
        assert delivery.next_sequence == model.next
        assert (delivery.due_at, delivery.ended) == (model.due_at, model.ended)
        assert delivery.attempts == model.attempts or model.ended


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
def test_at_most_two_events_wait_the_older_one_a_change_of_status(
    seed: int, chosen: list[tuple[Action, int]]
) -> None:
    for run in steps(seed, chosen):
        delivery = run.delivery
        if delivery.status_sequence is not None and delivery.progress_sequence is not None:
            assert delivery.status_sequence < delivery.progress_sequence
        assert (delivery.due_at is None) == (delivery.next_sequence is None)


@given(st.integers(), actions)
def test_the_last_event_is_sent_at_last_unless_the_receiver_is_gone(
    seed: int, chosen: list[tuple[Action, int]]
) -> None:
    run = Run(seed)
    for one in [*(one for one, _ in chosen if one is not GONE), TERMINAL]:
        run.take(one)
    for _ in range(3):
        run.take("start")
        run.take(OK)
    assert run.delivery.next_sequence is None
    assert run.history[-1] == ("settled", run.sequence)
