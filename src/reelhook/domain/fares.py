"""How an account fares with the worker that holds it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountFares:
    """What every process may know of it.

    `unauthorized`: the provider's words where it refuses the key. `stretched_milliseconds`: how
    long the last interval between two rounds was, where it had to be longer than asked for.
    """

    unauthorized: str | None = None
    stretched_milliseconds: int | None = None


WELL = AccountFares()
