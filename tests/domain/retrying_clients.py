"""A simulation of clients that repeat their calls, of a network that loses, and of the rule.

Time is in milliseconds. The store is a list, so each try is carried out at once, or not at all: a
process that dies before the write has read nothing, and one that dies after it loses the response.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

from reelhook.domain.client_call import ClientCall, EarlierCall, NotSettled, call_of

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Try:
    """The fate of one request.

    `arrives_after` None: it is never read. `responds_after` None: the response is lost, and the
    server knows it if `known`. `refused`: the server has no room at that moment. `unmatched`: it
    refuses the try without a look for its call. The client gives up the request after
    `fails_after`, if it has no response by then, and waits for `pause`.
    """

    arrives_after: int | None = 5
    responds_after: int | None = 5
    known: bool = False
    refused: bool = False
    unmatched: bool = False
    fails_after: int = 100
    pause: int = 500


@dataclass(frozen=True)
class Call:
    """A logical call: its body, when it starts, its tries, and when its client uses the id."""

    body: str
    at: int
    tries: tuple[Try, ...]
    used_after: int | None = 10


@dataclass
class Outcome:
    """The jobs that were paid for, by body, and what each call got."""

    paid: dict[str, str] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    """The bodies of which a client has used an id."""
    too_late: int = 0
    """The tries that a network held back until such an id was used."""

    def jobs(self, body: str) -> list[str]:
        return [job for job, one in self.paid.items() if one == body]


class Simulation:
    """Runs calls against a server with the rule. `aborts`: the network reports a closed request."""

    def __init__(self, calls: Sequence[Call], *, aborts: bool) -> None:
        self.calls = calls
        self.aborts = aborts
        self.outcome = Outcome()
        self._rows: dict[str, dict[str, EarlierCall]] = {}
        self._numbers = count(1)
        self._events: list[tuple[int, int, Callable[[int], None]]] = []

    def run(self) -> Outcome:
        for number, call in enumerate(self.calls):
            self._at(call.at, partial(self._send, number, 0))
        while self._events:
            now, _, act = heapq.heappop(self._events)
            act(now)
        return self.outcome

    def _at(self, when: int, act: Callable[[int], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), act))

    # -- the client ---------------------------------------------------------------------------

    def _send(self, number: int, tried: int, now: int) -> None:
        fate = self.calls[number].tries[tried]
        reply: dict[str, str | None] = {}
        if fate.arrives_after is not None:
            arrival = now + fate.arrives_after
            self._at(arrival, lambda at: self._serve(number, tried, now, at, reply))
        # It comes after the response of the same moment.
        self._at(now + fate.fails_after, lambda at: self._fail(number, tried, at, reply))

    def _responds(self, number: int, tried: int, sent: int, now: int) -> bool:
        """Return True if a response that is written now arrives in time."""
        fate = self.calls[number].tries[tried]
        return fate.responds_after is not None and (
            now + fate.responds_after < sent + fate.fails_after
        )

    def _respond(
        self, number: int, tried: int, sent: int, now: int, reply: dict[str, str | None]
    ) -> None:
        if self._responds(number, tried, sent, now):
            reply["read"] = "yes"
            arrival = now + (self.calls[number].tries[tried].responds_after or 0)
            self._at(arrival, lambda at: self._read(number, tried, at, reply))

    def _fail(self, number: int, tried: int, now: int, reply: dict[str, str | None]) -> None:
        if "read" not in reply:
            self._again(number, tried, now)

    def _read(self, number: int, tried: int, now: int, reply: dict[str, str | None]) -> None:
        job_id = reply.get("job")
        if job_id is None:
            self._again(number, tried, now)
            return
        self.outcome.ids[number] = job_id
        used_after = self.calls[number].used_after
        if used_after is not None:
            self._at(now + used_after, lambda _: self._use(self.calls[number].body, job_id))

    def _again(self, number: int, tried: int, now: int) -> None:
        if tried + 1 < len(self.calls[number].tries):
            pause = self.calls[number].tries[tried].pause
            self._at(now + pause, lambda at: self._send(number, tried + 1, at))

    # -- the server ---------------------------------------------------------------------------

    def _serve(
        self, number: int, tried: int, sent: int, now: int, reply: dict[str, str | None]
    ) -> None:
        call, fate = self.calls[number], self.calls[number].tries[tried]
        abandoned = now >= sent + fate.fails_after
        if abandoned and self.aborts:
            return
        if abandoned and call.body in self.outcome.used:
            self.outcome.too_late += 1
        one = ClientCall("videos", call.body, tried, TIMEOUT_SECONDS)
        rows = self._rows.setdefault(call.body, {})
        if fate.unmatched:
            self._refuse(one, rows, now)
            self._respond(number, tried, sent, now, reply)
            return
        found = call_of(one, list(rows.values()), now)
        if isinstance(found, NotSettled):
            self._at(found.until, lambda at: self._serve(number, tried, sent, at, reply))
            return
        if fate.refused and (found is None or found.job_id is None):
            self._refuse(one, rows, now)
            self._respond(number, tried, sent, now, reply)
            return
        known = found or EarlierCall(f"call_{next(self._numbers):06}", now, now)
        if known.job_id is None:
            known = replace(known, job_id=f"job_{next(self._numbers):06}")
            self.outcome.paid[str(known.job_id)] = call.body
        lost = not self._responds(number, tried, sent, now) and fate.known
        rows[known.id] = replace(
            known, answered=known.answered | one.mark, answered_at=now, lost=lost
        )
        reply["job"] = known.job_id
        self._respond(number, tried, sent, now, reply)

    def _refuse(self, one: ClientCall, rows: dict[str, EarlierCall], now: int) -> None:
        found = call_of(one, list(rows.values()), now, waits=False)
        assert not isinstance(found, NotSettled)
        row = found or EarlierCall(f"call_{next(self._numbers):06}", now, now)
        answered_at = now if row.job_id is None else row.answered_at
        rows[row.id] = replace(row, answered=row.answered | one.mark, answered_at=answered_at)

    def _use(self, body: str, job_id: str) -> None:
        self.outcome.used.add(body)
        rows = self._rows[body]
        for row in [row for row in rows.values() if row.job_id == job_id]:
            del rows[row.id]
