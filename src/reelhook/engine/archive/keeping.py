"""Keeping: removes files that the archive's limits no longer allow, and deletes their objects."""

import structlog

from reelhook.core.wakeups import Signals
from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.domain.event import Instant
from reelhook.domain.keeping import FileLimits
from reelhook.engine.runner import RunningTasks
from reelhook.engine.upkeep.retention import PAUSE_SECONDS, PAUSE_SHARE
from reelhook.ports import Clock, KeepingStore, Objects, RemovedObjectStore

log = structlog.get_logger()
RUN_SECONDS = 3600.0
LOOK_SECONDS = 60.0
"""The interval at which removed objects are looked for; a deletion of a job wakes the loop."""
RETRY_SECONDS = 30.0
HELD_MILLISECONDS = 3600 * 1000
"""The wait after the store refused to delete an object."""
FILES = 100
"""The number of files that are removed at once."""


class Keeping:
    """Removes files by their age and by the archive's size, once an hour."""

    name = "keeping"

    def __init__(
        self, store: KeepingStore, limits: FileLimits, signals: Signals, *, clock: Clock
    ) -> None:
        self._store = store
        self._limits = limits
        self._removals = signals.removals
        self._clock = clock
        self._next_run_at: Instant = 0
        self._removed = 0
        self.signal = signals.retention.fork()
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Remove one batch; see `Loop`."""
        now = self._clock.now()
        if now < self._next_run_at:
            return (self._next_run_at - now) / 1000
        files = await self._store.excess_files(self._limits, now, FILES)
        if files:
            await self._store.remove_archived(files, now)
            self._removed += len(files)
            self._removals.publish()
            took = (self._clock.now() - now) / 1000
            return max(PAUSE_SECONDS, PAUSE_SHARE * took)
        if self._removed:
            log.info("archive.removed", files=self._removed)
        self._removed = 0
        self._next_run_at = now + round(RUN_SECONDS * 1000)
        return RUN_SECONDS


class Removing:
    """Deletes the objects of removed files. While the store is down, they wait."""

    name = "removing"

    def __init__(
        self, store: RemovedObjectStore, objects: Objects, signals: Signals, *, clock: Clock
    ) -> None:
        self._store = store
        self._objects = objects
        self._clock = clock
        self._failing = False
        self.signal = signals.removals
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Delete one batch; see `Loop`."""
        now = self._clock.now()
        keys = await self._store.objects_to_delete(now, FILES)
        if not keys:
            return LOOK_SECONDS
        deleted: list[str] = []
        held: list[str] = []
        failure: ObjectStoreError | None = None
        for key in keys:
            try:
                await self._objects.delete([key])
            except ObjectStoreError as error:
                failure = error
                if not error.refused:
                    break
                held.append(key)
            else:
                deleted.append(key)
        if deleted:
            await self._store.record_deleted(deleted)
        if held:  # a lock on one object must not keep all others
            await self._store.delete_later(held, now + HELD_MILLISECONDS)
        if failure is not None and not self._failing:
            objects = len(keys) - len(deleted)
            log.warning("archive.deletion_deferred", objects=objects, error=failure.message)
        self._failing = failure is not None
        return PAUSE_SECONDS if failure is None or failure.refused else RETRY_SECONDS
