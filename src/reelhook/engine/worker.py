"""Worker: holds its share of the leases and runs their loops.

Workers share one database. Each sends a heartbeat three times in a lease's duration: it renews its
leases, takes free ones, and hands over those beyond its share. When a worker dies, its leases
expire and other workers take them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from reelhook.core.facts import Emit, LeaseLost, LeaseReleased, LeaseTaken
from reelhook.core.wakeups import Signal
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.engine.leases import LANE_IDS, USABLE_FRACTION, Leases
from reelhook.engine.runner import DRAIN_SECONDS, Loop, Runner
from reelhook.ports import Clock, Lease, LeaseStore

log = structlog.get_logger()
LEASE_SECONDS = 3.0
HEARTBEATS_PER_LEASE = 3
HAND_OVER_SECONDS = 60.0
"""The time for which work in flight may continue when its lease is handed over."""
IDLE_POLL_SECONDS = 0.02
RELEASE_SECONDS = 0.8
"""The time that the store has to release leases. After that they are left to expire."""
_NO_RESPONSE = f"the database did not respond within {RELEASE_SECONDS:g} s"
AWAY_SHARE = 0.4
"""The share of the stop time that is reserved for closing an unreachable store."""
FOREVER_SECONDS = 10 * 365 * 24 * 3600.0

MakeLoops = Callable[[Lease], Sequence[Loop]]


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """The name and lease time of a worker. `lease_seconds` None: there are no other workers."""

    worker: str
    lease_seconds: float | None = None


class Worker:
    """Holds leases and runs their loops. `work` makes the loops of each lease that has any.

    `busy` returns True while anything is in flight in a lane. Workers publish `changed` when leases
    have become free. `taken` is set when this worker takes leases: deliveries may be due in lanes
    that it did not have, and nothing else says so.
    """

    def __init__(
        self,
        store: LeaseStore,
        leases: Leases,
        runner: Runner,
        work: Mapping[str, MakeLoops],
        busy: Callable[[int], bool],
        identity: WorkerIdentity,
        *,
        changed: Signal,
        taken: Signal,
        emit: Emit,
        clock: Clock,
    ) -> None:
        self._store = store
        self._leases = leases
        self._runner = runner
        self._work = work
        self._busy = busy
        self._identity = identity
        self._changed = changed
        self._taken = taken
        self._emit = emit
        self._clock = clock
        self._seconds = identity.lease_seconds or FOREVER_SECONDS
        self._loops: dict[str, Sequence[Loop]] = {}
        self._handing_over: dict[str, asyncio.Task[None]] = {}
        self._heartbeats: asyncio.Task[None] | None = None
        kinds: dict[str, list[str]] = {}
        for lease_id in (*work, *LANE_IDS):
            kinds.setdefault(lease_id.partition(":")[0], []).append(lease_id)
        self._kinds = list(kinds.values())

    async def start(self) -> None:
        """Take free leases and begin. Raises `StoreError` if no other worker could do that."""
        try:
            await self._heartbeat()
        except DATABASE_FAILURES as error:
            if self._identity.lease_seconds is None:
                raise
            log.warning("worker.untended", error=error.message)
        self._keep(self._heartbeat)

    async def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Begin nothing new, and release each lease as soon as nothing is in flight for it.

        Work that takes longer is canceled; its intent is in the store. While the store is
        unreachable, nothing can be recorded, so work is canceled sooner.
        """
        end = asyncio.get_running_loop().time() + seconds
        log.debug("worker.leaving", worker=self._identity.worker)
        await self._end_heartbeats()
        leaving = asyncio.create_task(self._give_up_share())
        self._keep(self._renew)  # so that work in flight can be recorded when it ends
        for lease in self._leases.held():
            self._begin_hand_over(lease, seconds)
        left = await leaving
        if not left:
            end -= seconds * AWAY_SHARE
        if self._handing_over:
            timeout = max(0.0, end - asyncio.get_running_loop().time())
            await asyncio.wait(self._handing_over.values(), timeout=timeout)
        await self._end_heartbeats()
        for task in self._handing_over.values():
            task.cancel()
        await asyncio.gather(*self._handing_over.values(), return_exceptions=True)
        await self._runner.stop(end - asyncio.get_running_loop().time())
        if left:
            await self._release(self._leases.held())

    # -- heartbeats ---------------------------------------------------------------------------

    def _keep(self, heartbeat: Callable[[], Awaitable[None]]) -> None:
        if self._identity.lease_seconds is not None:
            self._heartbeats = asyncio.create_task(self._beat(heartbeat))

    async def _end_heartbeats(self) -> None:
        if self._heartbeats is not None:
            self._heartbeats.cancel()
            await asyncio.gather(self._heartbeats, return_exceptions=True)

    async def _beat(self, heartbeat: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.wait(self._changed, self._seconds / HEARTBEATS_PER_LEASE)
            self._changed.clear()  # a signal from now on may be too late for this heartbeat
            try:
                await heartbeat()
            except DATABASE_FAILURES as error:
                log.warning("worker.untended", error=error.message)
            except Exception:
                log.exception("worker.failed")

    async def _heartbeat(self) -> None:
        for ids in self._kinds:
            good_until = self._good_until()
            held, surplus = await self._store.heartbeat(
                self._identity.worker, ids, round(self._seconds * 1000)
            )
            self._update(ids, held, good_until)
            self._begin(held)
            for lease in held[len(held) - surplus :]:
                self._begin_hand_over(lease, HAND_OVER_SECONDS)

    async def _renew(self) -> None:
        if self._identity.lease_seconds is not None:
            good_until = self._good_until()
            held = await self._store.renew(self._identity.worker, round(self._seconds * 1000))
            self._update([lease_id for ids in self._kinds for lease_id in ids], held, good_until)

    def _good_until(self) -> float:
        """Return the time until which a lease that the store grants now is good."""
        return self._leases.now() + self._seconds * USABLE_FRACTION

    def _update(self, ids: Sequence[str], held: Sequence[Lease], good_until: float) -> None:
        taken = [lease for lease in held if self._leases.of(lease.id) != lease]
        for lease in taken:
            self._emit(LeaseTaken(lease))
        for lost in self._leases.keep(ids, held, good_until):
            self._emit(LeaseLost(lost))
            # The store refuses later writes of these loops, because their epoch is old.
            self._runner.remove_soon(self._loops.pop(lost.id, ()), HAND_OVER_SECONDS)
        if taken:
            self._taken.set()

    def _begin(self, held: Sequence[Lease]) -> None:
        for lease in held:
            known = lease.id in self._loops or lease.id in self._handing_over
            if lease.id in self._work and not known:
                loops = self._loops[lease.id] = self._work[lease.id](lease)
                self._runner.add(loops, partial(self._leases.good, lease))

    async def _give_up_share(self) -> bool:
        """Give up the worker's share to the others. Return False if the store is unreachable."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._store.release(self._identity.worker, [], leaving=True)
        except (*DATABASE_FAILURES, TimeoutError) as error:
            log.warning("worker.unreleased", error=str(error) or _NO_RESPONSE)
            return False
        return True

    # -- handing over -------------------------------------------------------------------------

    def _begin_hand_over(self, lease: Lease, seconds: float) -> None:
        if lease.id not in self._handing_over:
            self._handing_over[lease.id] = asyncio.create_task(self._hand_over(lease, seconds))

    async def _hand_over(self, lease: Lease, seconds: float) -> None:
        """Begin nothing more for a lease, let work in flight end, and release the lease."""
        try:
            self._leases.drain(lease)
            if lease.id in self._loops:
                await self._runner.remove(self._loops.pop(lease.id), seconds)
            elif lease.id in LANE_IDS:
                await self._until_idle(LANE_IDS.index(lease.id), seconds)
            await self._release([lease])
        finally:
            self._handing_over.pop(lease.id, None)

    async def _until_idle(self, lane: int, seconds: float) -> None:
        end = self._leases.now() + seconds
        while self._busy(lane) and self._leases.now() < end:
            await self._clock.wait(asyncio.Event(), IDLE_POLL_SECONDS)

    async def _release(self, leases: Sequence[Lease]) -> None:
        """Release leases for which nothing is in flight."""
        if not leases:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._store.release(self._identity.worker, leases, leaving=False)
        except (*DATABASE_FAILURES, TimeoutError) as error:  # they stay held, or expire
            log.warning("lease.unreleased", lease=leases[0].id, error=str(error) or _NO_RESPONSE)
            for lease in leases:
                self._leases.undrain(lease)
            return
        for lease in leases:
            self._leases.drop(lease)
            self._emit(LeaseReleased(lease))
        self._changed.publish()
