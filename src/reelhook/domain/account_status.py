"""How an account fares with the worker that holds it."""

from dataclasses import dataclass

from reelhook.domain.event import Instant
from reelhook.domain.waiting import Waiting

WORDS_MILLISECONDS = 60_000
"""Of words that change with every response, those of one in so long are kept and logged."""


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """What every process may know of it.

    `unauthorized`: the provider's words where it refuses the key. `stretched_milliseconds`: how
    long the last interval between two rounds was, where it had to be longer than asked for.
    `reads_wait_until`, `creates_wait_until`: until when the provider asked to be left alone
    (`Retry-After`), where that was long; it may have passed. `creates`, `reads`: what it said when
    it last refused all creates for now (429), or could not be read, until that works again.
    """

    unauthorized: str | None = None
    stretched_milliseconds: int | None = None
    reads_wait_until: Instant | None = None
    creates_wait_until: Instant | None = None
    creates: Waiting | None = None
    reads: Waiting | None = None

    def waiting(self, *, watched: bool) -> Waiting | None:
        """Return what jobs that a provider has (`watched`) wait for there, or all the others."""
        return self.reads if watched else self.creates


HEALTHY = AccountStatus()
