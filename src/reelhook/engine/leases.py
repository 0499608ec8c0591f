"""Leases: this worker's rights to act for accounts, lanes and maintenance, and their ends.

A worker uses a lease only for the first part of its time, by a clock that runs during suspension.
So a frozen worker finds its lease expired before another worker can have taken it.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from reelhook.domain.endpoint import LANES
from reelhook.ports import Lease

USABLE_FRACTION = 0.8
LANE_IDS = tuple(f"lane:{lane:02}" for lane in range(LANES))
MAINTENANCE_ID = "chores:all"
"""The lease on maintenance, which one worker does for all: sweep, resends, retention."""


def account_id(account: str) -> str:
    """Return the id of the lease on an account."""
    return f"account:{account}"


def boottime() -> float:
    """Return the seconds of a clock that, where possible, runs while the machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Leases:
    """The leases that this worker holds. `now` returns seconds; see `boottime`."""

    def __init__(self, now: Callable[[], float] = boottime) -> None:
        self._now = now
        self._held: dict[str, tuple[Lease, float]] = {}
        self._draining: set[Lease] = set()

    def now(self) -> float:
        """Return the time of the clock that decides whether a lease is good."""
        return self._now()

    def keep(self, ids: Iterable[str], held: Iterable[Lease], good_until: float) -> list[Lease]:
        """Keep the leases that the store reports as held. Return the lost ones among `ids`."""
        kept = {lease.id: lease for lease in held}
        lost = [
            lease
            for lease_id in ids
            if (lease := self.of(lease_id)) is not None and kept.get(lease_id) != lease
        ]
        for lease in lost:
            self.drop(lease)
        self._held |= {lease.id: (lease, good_until) for lease in kept.values()}
        return lost

    def held(self) -> list[Lease]:
        """Return the leases that were held when the store was last asked."""
        return [lease for lease, _ in self._held.values()]

    def of(self, lease_id: str) -> Lease | None:
        """Return the lease, if it was held when the store was last asked."""
        held = self._held.get(lease_id)
        return None if held is None else held[0]

    def good(self, lease: Lease) -> bool:
        """Return True if this worker may still act for the lease."""
        held = self._held.get(lease.id)
        return held is not None and held[0] == lease and self._now() < held[1]

    def drain(self, lease: Lease) -> None:
        """Begin no new work for the lease. Work in flight may finish."""
        self._draining.add(lease)

    def undrain(self, lease: Lease) -> None:
        """Allow new work for the lease again."""
        self._draining.discard(lease)

    def drop(self, lease: Lease) -> None:
        """Stop acting for the lease."""
        self._draining.discard(lease)
        if self.of(lease.id) == lease:
            del self._held[lease.id]

    def lanes(self) -> Mapping[int, Lease]:
        """Return the lanes in which deliveries may begin, with their leases."""
        found, now = {}, self._now()
        for lane, lease_id in enumerate(LANE_IDS):
            lease, good_until = self._held.get(lease_id, (None, 0))
            if lease is not None and lease not in self._draining and now < good_until:
                found[lane] = lease
        return found
