"""Calls that a client library repeats on its own, with a count of its retries but without a key.

The tries of one call share one job. The `openai` libraries retry a paid POST after a lost response,
a time-out, 408, 409, 429 and any 5xx. Each try has a count: 0, 1, 2, ... (`_base_client.py`,
`client.ts`). Nothing else distinguishes a retry from an equal call that is made on purpose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reelhook.domain.errors import ReelhookError
from reelhook.domain.event import Instant

TIMEOUT_SECONDS = 600.0
"""The libraries' time-out by default."""
PAUSE_MILLISECONDS_MAX = 120_000
"""The longest pause before a retry: `Retry-After` is obeyed up to two minutes."""
FRESH_MILLISECONDS = 2000
"""The age up to which a response is probably about to be used by its own client.

A retry comes at least 375 ms after the response that it missed (`_base_client.py`).
"""
COUNTS_MAX = 62
"""Counts below this are remembered. A higher one never counts as answered."""


@dataclass(frozen=True, slots=True)
class ClientCall:
    """One try of a call that creates a job.

    `fingerprint` is the hash of the body, and `route` what the body is for. `count` is the number
    of tries before this one. None: the client sends no count. `timeout_seconds` is the client's.
    """

    route: str
    fingerprint: str
    count: int | None
    timeout_seconds: float = TIMEOUT_SECONDS

    @property
    def mark(self) -> int:
        """The bit of this count in `EarlierCall.answered`."""
        return 1 << self.count if self.count is not None and self.count < COUNTS_MAX else 0

    @property
    def window_milliseconds(self) -> int:
        """The greatest age of an earlier call to which this try may belong.

        Each try before this one took the client's time-out at most, and then a pause. A first try
        that its own retry overtook has the time of a pause.
        """
        tries = 1 if self.count is None else self.count
        timeouts = round(tries * self.timeout_seconds * 1000)
        return timeouts + max(1, tries) * PAUSE_MILLISECONDS_MAX

    @property
    def fresh_milliseconds(self) -> int:
        """The age up to which an earlier response is fresh; the try waits no longer than that."""
        return min(FRESH_MILLISECONDS, round(self.timeout_seconds * 1000) // 8)


@dataclass(frozen=True, slots=True)
class EarlierCall:
    """An equal call of the same client, whose job it has not used yet.

    `job_id` None: each of its tries was refused, so the next one creates its job. `answered` has
    a bit for each count that got a response, the last one at `answered_at`. `lost`: that response
    could not be written.
    """

    id: str
    created_at: Instant
    answered_at: Instant
    job_id: str | None = None
    answered: int = 0
    lost: bool = False

    def may_include(self, call: ClientCall, now: Instant) -> bool:
        """Return True if the try may be one of this call."""
        if self.job_id is None:  # after a refusal the client pauses, but there is no time-out
            is_recent = now - self.answered_at <= PAUSE_MILLISECONDS_MAX
        else:
            is_recent = now - self.created_at <= call.window_milliseconds
        if call.count is None:
            return is_recent and self.lost
        return is_recent and not self.answered & call.mark  # a client sends each count once

    def settles_at(self, call: ClientCall) -> Instant:
        """Return the time from which its client would have used the job, if it got the response."""
        if self.job_id is None or self.lost:
            return 0
        return self.answered_at + call.fresh_milliseconds


@dataclass(frozen=True, slots=True)
class NotSettled:
    """The call that a try belongs to is not known before `until`."""

    until: Instant


class CallNotSettledError(ReelhookError):
    """The call that a try belongs to is not known before `until`; nothing was written."""

    code = "call_not_settled"

    def __init__(self, until: Instant) -> None:
        super().__init__("An equal call has just been answered")
        self.until = until


def call_of(
    call: ClientCall, earlier: Sequence[EarlierCall], now: Instant, *, waits: bool = True
) -> EarlierCall | NotSettled | None:
    """Return the equal call that a try belongs to, or None if it begins one.

    Of several it is the one that has answered the highest count below this one, because calls with
    lower counts can still take the other tries. Of those it is one whose response was lost, then
    one that was refused, since its client is about to retry, then the oldest. A call whose response
    is fresh comes last among those, and is taken only after its client had the time to use it,
    unless the try `waits` no more.
    """
    count = -1 if call.count is None else call.count

    def is_fresh(one: EarlierCall) -> bool:
        return waits and one.settles_at(call) > now

    def order(one: EarlierCall) -> tuple[bool, int, bool, bool, bool, Instant, str]:
        highest = one.answered.bit_length() - 1
        is_overtaken = highest > count
        return (
            *(is_overtaken, -highest, is_fresh(one), not one.lost),
            *(one.job_id is not None, one.created_at, one.id),
        )

    fitting = [one for one in earlier if one.may_include(call, now)]
    best = min(fitting, key=order, default=None)
    if best is not None and is_fresh(best):
        return NotSettled(best.settles_at(call))
    return best
