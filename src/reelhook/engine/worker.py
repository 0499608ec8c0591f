"""Worker: holds its share of the leases, and turns the loops of what it holds.

Workers share one database. Each renews its leases at a third of their time, takes what has become
free, and gives away what is beyond its share; one that dies is replaced when its leases run out.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from reelhook.domain.errors import StoreError
from reelhook.engine.leases import GOOD_SHARE, LANE_IDS, Leases
from reelhook.engine.runner import Loop, Runner
from reelhook.ports import Clock, Lease, LeaseStore

log = structlog.get_logger()
LEASE_SECONDS = 3.0
TENDINGS_PER_LEASE = 3
HAND_OVER_SECONDS = 60.0
"""How long what is under way may take before it is cut off, where a lease is given away."""
FOREVER_SECONDS = 10 * 365 * 24 * 3600.0

MakeLoops = Callable[[Lease], Sequence[Loop]]


@dataclass(frozen=True, slots=True)
class Sharing:
    """How work is shared. `lease_seconds` None: there are no other workers."""

    worker: str
    lease_seconds: float | None = None


class Worker:
    """Tends leases. `work` makes the loops of each lease that has some of its own.

    `busy` tells whether anything is under way in a lane.
    """

    def __init__(
        self,
        store: LeaseStore,
        leases: Leases,
        runner: Runner,
        work: Mapping[str, MakeLoops],
        busy: Callable[[int], bool],
        sharing: Sharing,
        *,
        changed: asyncio.Event,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leases = leases
        self._runner = runner
        self._work = work
        self._busy = busy
        self._sharing = sharing
        self._changed = changed
        self._clock = clock
        self._turning: dict[str, Sequence[Loop]] = {}
        self._giving_away: dict[str, asyncio.Task[None]] = {}
        self._tending: asyncio.Task[None] | None = None
        kinds: dict[str, list[str]] = {}
        for lease_id in (*work, *LANE_IDS):
            kinds.setdefault(lease_id.partition(":")[0], []).append(lease_id)
        self._kinds = list(kinds.values())

    async def start(self) -> None:
        """Take what is free and begin. Raises `StoreError`."""
        await self._tend()
        if self._sharing.lease_seconds is not None:
            self._tending = asyncio.create_task(self._keep_tending())

    async def stop(self) -> None:
        """Begin nothing new, drain, and let others take everything at once."""
        for task in (self._tending, *self._giving_away.values()):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._runner.stop()
        held = [lease for ids in self._kinds for lease_id in ids if (lease := self._of(lease_id))]
        try:
            await self._store.release(self._sharing.worker, held, leaving=True)
        except StoreError as error:  # they run out by themselves
            log.warning("worker.unreleased", error=error.message)

    def _of(self, lease_id: str) -> Lease | None:
        return self._leases.of(lease_id)

    async def _keep_tending(self) -> None:
        lease_seconds = self._sharing.lease_seconds or LEASE_SECONDS
        while True:
            self._changed.clear()
            await self._clock.wait(self._changed, lease_seconds / TENDINGS_PER_LEASE)
            try:
                await self._tend()
            except StoreError as error:
                log.warning("worker.untended", error=error.message)
            except Exception:
                log.exception("worker.failed")

    async def _tend(self) -> None:
        seconds = self._sharing.lease_seconds or FOREVER_SECONDS
        for ids in self._kinds:
            good_until = self._leases.now() + seconds * GOOD_SHARE
            held, surplus = await self._store.tend(self._sharing.worker, ids, round(seconds * 1000))
            for lost in self._leases.keep(ids, held, good_until):
                log.warning("lease.lost", lease=lost.id, epoch=lost.epoch)
                self._halt(lost.id)
            self._begin(held)
            self._shed(held, surplus)

    def _begin(self, held: Sequence[Lease]) -> None:
        for lease in held:
            if lease.id in self._work and lease.id not in self._turning:
                log.debug("lease.taken", lease=lease.id, epoch=lease.epoch)
                loops = self._turning[lease.id] = self._work[lease.id](lease)
                self._runner.add(loops)

    def _halt(self, lease_id: str) -> None:
        """Turn the loops of a lost lease no more. What they write now is refused by its epoch."""
        loops = self._turning.pop(lease_id, ())
        self._runner.forget(loops, HAND_OVER_SECONDS)

    def _shed(self, held: Sequence[Lease], surplus: int) -> None:
        for lease in held[len(held) - surplus :]:
            if lease.id not in self._giving_away:
                self._giving_away[lease.id] = asyncio.create_task(self._give_away(lease))

    async def _give_away(self, lease: Lease) -> None:
        """Begin nothing more for a lease, let what is under way end, and let another take it."""
        try:
            self._leases.leave(lease)
            if lease.id in self._turning:
                await self._runner.remove(self._turning.pop(lease.id), HAND_OVER_SECONDS)
            elif lease.id in LANE_IDS:
                await self._idle(LANE_IDS.index(lease.id))
            self._leases.forget(lease)
            await self._store.release(self._sharing.worker, [lease], leaving=False)
        except StoreError as error:  # it runs out by itself
            log.warning("lease.unreleased", lease=lease.id, error=error.message)
        finally:
            self._giving_away.pop(lease.id, None)

    async def _idle(self, lane: int) -> None:
        end = self._leases.now() + HAND_OVER_SECONDS
        while self._busy(lane) and self._leases.now() < end:
            await self._clock.wait(asyncio.Event(), 0.05)
