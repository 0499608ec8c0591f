"""Worker: holds its share of the leases, and turns the loops of what it holds.

Workers share one database. Each renews its leases at a third of their time, takes what has become
free, and gives away what is beyond its share; one that dies is replaced when its leases run out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from reelhook.core.wakeups import Signal
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.engine.leases import LANE_IDS, USABLE_FRACTION, Leases
from reelhook.engine.runner import DRAIN_SECONDS, Loop, Runner
from reelhook.ports import Clock, Lease, LeaseStore

log = structlog.get_logger()
LEASE_SECONDS = 3.0
TENDINGS_PER_LEASE = 3
HAND_OVER_SECONDS = 60.0
"""How long what is under way may take before it is cut off, where a lease is given away."""
IDLE_POLL_SECONDS = 0.02
LEAVE_SECONDS = 0.8
"""How long the store may take at the end, before leases are left to run out by themselves."""
AWAY_SHARE = 0.4
"""How much of the time to stop is saved where the store is away, and closing it takes longer."""
FOREVER_SECONDS = 10 * 365 * 24 * 3600.0

MakeLoops = Callable[[Lease], Sequence[Loop]]


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """How work is shared. `lease_seconds` None: there are no other workers."""

    worker: str
    lease_seconds: float | None = None


class Worker:
    """Tends leases. `work` makes the loops of each lease that has some of its own.

    `busy` tells whether anything is under way in a lane; `changed` is how workers tell each other
    that leases have become free.
    """

    def __init__(
        self,
        store: LeaseStore,
        leases: Leases,
        runner: Runner,
        work: Mapping[str, MakeLoops],
        busy: Callable[[int], bool],
        sharing: WorkerIdentity,
        *,
        changed: Signal,
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
        self._seconds = sharing.lease_seconds or FOREVER_SECONDS
        self._turning: dict[str, Sequence[Loop]] = {}
        self._giving_away: dict[str, asyncio.Task[None]] = {}
        self._tending: asyncio.Task[None] | None = None
        kinds: dict[str, list[str]] = {}
        for lease_id in (*work, *LANE_IDS):
            kinds.setdefault(lease_id.partition(":")[0], []).append(lease_id)
        self._kinds = list(kinds.values())

    async def start(self) -> None:
        """Take what is free and begin. Raises `StoreError` where there are no others to tend."""
        try:
            await self._tend()
        except DATABASE_FAILURES as error:
            if self._sharing.lease_seconds is None:
                raise
            log.warning("worker.untended", error=error.message)
        self._keep(self._tend)

    async def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Begin nothing new, and let others take each lease as soon as nothing is under way for it.

        What takes longer than that is cut off: its intent is in the store. Where the store is away,
        so that nothing more can be recorded, it is cut off sooner.
        """
        end = asyncio.get_running_loop().time() + seconds
        log.debug("worker.leaving", worker=self._sharing.worker)
        await self._end_tending()
        leaving = asyncio.create_task(self._leave())
        self._keep(self._renew)  # so that what is under way may be written down when it ends
        for lease in self._leases.held():
            self._begin_giving_away(lease, seconds)
        left = await leaving
        if not left:
            end -= seconds * AWAY_SHARE
        if self._giving_away:
            timeout = max(0.0, end - asyncio.get_running_loop().time())
            await asyncio.wait(self._giving_away.values(), timeout=timeout)
        await self._end_tending()
        for task in self._giving_away.values():
            task.cancel()
        await asyncio.gather(*self._giving_away.values(), return_exceptions=True)
        await self._runner.stop(end - asyncio.get_running_loop().time())
        if left:
            await self._release(self._leases.held())

    # -- tending ------------------------------------------------------------------------------

    def _keep(self, tend: Callable[[], Awaitable[None]]) -> None:
        if self._sharing.lease_seconds is not None:
            self._tending = asyncio.create_task(self._keep_tending(tend))

    async def _end_tending(self) -> None:
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)

    async def _keep_tending(self, tend: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.wait(self._changed, self._seconds / TENDINGS_PER_LEASE)
            self._changed.clear()  # what is told from now on may be too late for this tending
            try:
                await tend()
            except DATABASE_FAILURES as error:
                log.warning("worker.untended", error=error.message)
            except Exception:
                log.exception("worker.failed")

    async def _tend(self) -> None:
        for ids in self._kinds:
            good_until = self._good_until()
            held, surplus = await self._store.tend(
                self._sharing.worker, ids, round(self._seconds * 1000)
            )
            self._go_by(ids, held, good_until)
            self._begin(held)
            for lease in held[len(held) - surplus :]:
                self._begin_giving_away(lease, HAND_OVER_SECONDS)

    async def _renew(self) -> None:
        if self._sharing.lease_seconds is not None:
            good_until = self._good_until()
            held = await self._store.renew(self._sharing.worker, round(self._seconds * 1000))
            self._go_by([lease_id for ids in self._kinds for lease_id in ids], held, good_until)

    def _good_until(self) -> float:
        """Return until when a lease is good that the store is asked for now."""
        return self._leases.now() + self._seconds * USABLE_FRACTION

    def _go_by(self, ids: Sequence[str], held: Sequence[Lease], good_until: float) -> None:
        for lease in held:
            if self._leases.of(lease.id) != lease:
                log.debug("lease.taken", lease=lease.id, epoch=lease.epoch)
        for lost in self._leases.keep(ids, held, good_until):
            log.warning("lease.lost", lease=lost.id, epoch=lost.epoch)
            # What the loops still write is refused by its epoch.
            self._runner.forget(self._turning.pop(lost.id, ()), HAND_OVER_SECONDS)

    def _begin(self, held: Sequence[Lease]) -> None:
        for lease in held:
            turning = lease.id in self._turning or lease.id in self._giving_away
            if lease.id in self._work and not turning:
                loops = self._turning[lease.id] = self._work[lease.id](lease)
                self._runner.add(loops, partial(self._leases.good, lease))

    async def _leave(self) -> bool:
        """Have no share any more: the others take it all. Return whether the store was told."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._store.release(self._sharing.worker, [], leaving=True)
        except (*DATABASE_FAILURES, TimeoutError) as error:
            log.warning("worker.unreleased", error=str(error))
            return False
        return True

    # -- giving away --------------------------------------------------------------------------

    def _begin_giving_away(self, lease: Lease, seconds: float) -> None:
        if lease.id not in self._giving_away:
            self._giving_away[lease.id] = asyncio.create_task(self._give_away(lease, seconds))

    async def _give_away(self, lease: Lease, seconds: float) -> None:
        """Begin nothing more for a lease, let what is under way end, and let another take it."""
        try:
            self._leases.leave(lease)
            if lease.id in self._turning:
                await self._runner.remove(self._turning.pop(lease.id), seconds)
            elif lease.id in LANE_IDS:
                await self._idle(LANE_IDS.index(lease.id), seconds)
            await self._release([lease])
        finally:
            self._giving_away.pop(lease.id, None)

    async def _idle(self, lane: int, seconds: float) -> None:
        end = self._leases.now() + seconds
        while self._busy(lane) and self._leases.now() < end:
            await self._clock.wait(asyncio.Event(), IDLE_POLL_SECONDS)

    async def _release(self, leases: Sequence[Lease]) -> None:
        """Let others take what nothing is under way for."""
        if not leases:
            return
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._store.release(self._sharing.worker, leases, leaving=False)
        except (
            *DATABASE_FAILURES,
            TimeoutError,
        ) as error:  # they are kept, or run out by themselves
            log.warning("lease.unreleased", lease=leases[0].id, error=str(error))
            for lease in leases:
                self._leases.stay(lease)
            return
        for lease in leases:
            self._leases.forget(lease)
            log.debug("lease.released", lease=lease.id, epoch=lease.epoch)
        self._changed.tell()
