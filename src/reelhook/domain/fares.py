"""How an account fares with the worker that holds it."""

from dataclasses import dataclass

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class AccountFares:
    """What every process may know of it.

    `unauthorized`: the provider's words where it refuses the key. `stretched_milliseconds`: how
    long the last interval between two rounds was, where it had to be longer than asked for.
    `reads_wait_until`, `creates_wait_until`: until when the provider asked to be left alone
    (`Retry-After`), where that was long; it may have passed.
    """

    unauthorized: str | None = None
    stretched_milliseconds: int | None = None
    reads_wait_until: Instant | None = None
    creates_wait_until: Instant | None = None


WELL = AccountFares()
