"""What sharing work among several workers asks of the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for an account or a lane; `epoch` rises with every owner."""

    id: str
    epoch: int


class LeaseStore(Protocol):
    """Leases on accounts, lanes and chores, by the database's own time."""

    async def tend(
        self, worker: str, ids: Sequence[str], lease_milliseconds: int
    ) -> tuple[list[Lease], int]:
        """Say that a worker is alive, renew what it holds of these, all of one kind, and take
        what is free, up to its share.

        Returns what it holds, and how many of those are beyond its share.
        """
        ...

    async def renew(self, worker: str, lease_milliseconds: int) -> list[Lease]:
        """Renew what a worker holds, of every kind, and return it."""
        ...

    async def release(self, worker: str, leases: Sequence[Lease], *, leaving: bool) -> None:
        """Let others take these at once; a worker that is leaving counts no longer."""
        ...
