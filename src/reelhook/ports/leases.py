"""Leases: the right of one worker to work on an account or a lane."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for an account or a lane. `epoch` rises with every owner."""

    id: str
    epoch: int


class LeaseStore(Protocol):
    """Leases on accounts, lanes and maintenance. All times are the database's."""

    async def heartbeat(
        self, worker: str, ids: Sequence[str], lease_milliseconds: int
    ) -> tuple[list[Lease], int]:
        """Send a heartbeat, renew the worker's leases, and take free ones up to its share.

        `ids` are the leases of one kind. Return the worker's leases of that kind, and the number by
        which they exceed its share.
        """
        ...

    async def renew(self, worker: str, lease_milliseconds: int) -> list[Lease]:
        """Renew and return a worker's leases of every kind."""
        ...

    async def release(self, worker: str, leases: Sequence[Lease], *, leaving: bool) -> None:
        """Expire these leases at once. A worker that is leaving no longer counts for the shares."""
        ...
