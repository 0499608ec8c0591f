"""Leases: what this worker may act for, and until when.

A lease is good for a part of its time only, by a clock that counts suspension: whoever was frozen
and is woken again finds it expired, before anyone else can have taken it.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from reelhook.domain.endpoint import LANES
from reelhook.ports import Lease

USABLE_FRACTION = 0.8
LANE_IDS = tuple(f"lane:{lane:02}" for lane in range(LANES))
CHORES_ID = "chores:all"
"""What any one worker does for all: sweeping, resending, forgetting."""


def account_id(account: str) -> str:
    """Return the id of the lease on an account."""
    return f"account:{account}"


def boottime() -> float:
    """Return seconds of a clock that goes on while the machine is suspended, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Leases:
    """What is held. `now` tells seconds, see `boottime`."""

    def __init__(self, now: Callable[[], float] = boottime) -> None:
        self._now = now
        self._held: dict[str, tuple[Lease, float]] = {}
        self._leaving: set[Lease] = set()

    def now(self) -> float:
        """Return the moment by which leases are judged."""
        return self._now()

    def keep(self, ids: Iterable[str], held: Iterable[Lease], good_until: float) -> list[Lease]:
        """Take over what the store says is held of these; return what was lost."""
        kept = {lease.id: lease for lease in held}
        lost = [
            lease
            for lease_id in ids
            if (lease := self.of(lease_id)) is not None and kept.get(lease_id) != lease
        ]
        for lease in lost:
            self.forget(lease)
        self._held |= {lease.id: (lease, good_until) for lease in kept.values()}
        return lost

    def held(self) -> list[Lease]:
        """Return what was held when the store was last asked."""
        return [lease for lease, _ in self._held.values()]

    def of(self, lease_id: str) -> Lease | None:
        """Return the lease, if it was held when the store was last asked."""
        held = self._held.get(lease_id)
        return None if held is None else held[0]

    def good(self, lease: Lease) -> bool:
        """Whether one may still act for it."""
        held = self._held.get(lease.id)
        return held is not None and held[0] == lease and self._now() < held[1]

    def leave(self, lease: Lease) -> None:
        """Begin nothing new for it; what is under way may end."""
        self._leaving.add(lease)

    def stay(self, lease: Lease) -> None:
        """Take back that it is left."""
        self._leaving.discard(lease)

    def forget(self, lease: Lease) -> None:
        """Act for it no longer."""
        self._leaving.discard(lease)
        if self.of(lease.id) == lease:
            del self._held[lease.id]

    def lanes(self) -> Mapping[int, Lease]:
        """Return the lanes in which deliveries may begin."""
        found = {}
        for lane, lease_id in enumerate(LANE_IDS):
            lease = self.of(lease_id)
            if lease is not None and lease not in self._leaving and self.good(lease):
                found[lane] = lease
        return found
