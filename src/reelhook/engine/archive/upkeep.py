"""Upkeep of the archive: removes files that killed processes left in the spool and the folder."""

from functools import partial

import structlog

from reelhook.core.wakeups import Signals
from reelhook.domain.archive import FileState
from reelhook.domain.event import Instant
from reelhook.engine.archive.spool import LEFT_SECONDS, Spool
from reelhook.engine.runner import RunningTasks
from reelhook.ports import ArchivedFileReads, Clock, Objects

log = structlog.get_logger()
RUN_SECONDS = 3600.0


class SpoolUpkeep:
    """Removes files that nothing waits for any more, once an hour.

    They are in this machine's spool, and halves of uploads in the archive's folder.
    """

    name = "spool"

    def __init__(
        self,
        store: ArchivedFileReads,
        spool: Spool,
        objects: Objects,
        signals: Signals,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._objects = objects
        self._spool = spool
        self._clock = clock
        self._next_run_at: Instant = 0
        self.signal = signals.retention.fork()
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Remove what was left behind; see `Loop`."""
        now = self._clock.now()
        if now < self._next_run_at:
            return (self._next_run_at - now) / 1000
        self._next_run_at = now + round(RUN_SECONDS * 1000)
        for job_id in await self._spool.left_behind():
            file = await self._store.archived_file(job_id)
            if file is None or file.state is not FileState.WAITING:
                await self._spool.remove(job_id)
        try:
            await self._spool.run(partial(self._objects.remove_unfinished, LEFT_SECONDS))
        except OSError as error:  # the disk of the archive is away; its health reports that
            log.debug("archive.upkeep_failed", error=str(error))
        return RUN_SECONDS
