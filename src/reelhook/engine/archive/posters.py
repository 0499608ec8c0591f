"""Posters: makes a poster of each stored file, and records the facts that the file shows."""

from pathlib import Path

import structlog

from reelhook.core.wakeups import Signals
from reelhook.domain.archive import (
    FIRST_WAIT_MILLISECONDS,
    LONGEST_WAIT_MILLISECONDS,
    ArchivedFile,
    poster_key,
)
from reelhook.domain.archive_errors import (
    FramesTimeoutError,
    FramesUnavailableError,
    ObjectStoreError,
)
from reelhook.domain.event import Instant
from reelhook.engine.archive.local_copy import local_copy
from reelhook.engine.runner import RunningTasks
from reelhook.ports import Clock, Frames, Looked, Objects, PosterStore

log = structlog.get_logger()
PAUSE_SECONDS = 5.0
"""The pause of the loop after a failure that may not be the file's."""
TIMEOUTS_MAX = 3
"""A file that could not be decoded in time so often has no poster."""


class Posters:
    """Makes the posters of all stored files, one at a time."""

    name = "posters"

    def __init__(
        self,
        store: PosterStore,
        objects: Objects,
        frames: Frames,
        signals: Signals,
        *,
        folder: Path,
        clock: Clock,
    ) -> None:
        self._store = store
        self._objects = objects
        self._frames = frames
        self._signals = signals
        self._folder = folder
        self._clock = clock
        self._waits: dict[str, tuple[int, Instant]] = {}
        """By job: the last wait in milliseconds, and the time of the next try."""
        self._timeouts: dict[str, int] = {}
        self.signal = signals.posters
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Make one poster; see `Loop`."""
        now = self._clock.now()
        found = await self._store.files_without_poster(len(self._waits) + 1)
        self._forget_all_but({file.job_id for file in found})
        due = [file for file in found if self._due_at(file) <= now]
        if due:
            return 0.0 if await self._made(due[0]) else PAUSE_SECONDS
        if not found:
            return None
        return (min(self._due_at(file) for file in found) - now) / 1000

    def _due_at(self, file: ArchivedFile) -> Instant:
        return self._waits.get(file.job_id, (0, 0))[1]

    def _forget_all_but(self, job_ids: set[str]) -> None:
        for job_id in self._waits.keys() - job_ids:
            del self._waits[job_id]
            self._timeouts.pop(job_id, None)

    async def _made(self, file: ArchivedFile) -> bool:
        """Look at a file and record the result. Return False if it is tried again later."""
        try:
            await self._keep(file, await self._looked(file))
        except (ObjectStoreError, FramesUnavailableError, OSError) as error:
            last, _ = self._waits.get(file.job_id, (0, 0))
            wait = min(max(2 * last, FIRST_WAIT_MILLISECONDS), LONGEST_WAIT_MILLISECONDS)
            self._waits[file.job_id] = wait, self._clock.now() + wait
            log.warning(
                "poster.failed", job=file.job_id, error=str(error), wait_seconds=wait / 1000
            )
            return False
        return True

    async def _looked(self, file: ArchivedFile) -> Looked:
        try:
            async with local_copy(self._objects, file.key or "", self._folder) as path:
                return await self._frames.look(path)
        except FramesTimeoutError:
            timeouts = self._timeouts.get(file.job_id, 0) + 1
            self._timeouts[file.job_id] = timeouts
            if timeouts < TIMEOUTS_MAX:
                raise
            return Looked()

    async def _keep(self, file: ArchivedFile, looked: Looked) -> None:
        key, poster = poster_key(file.job_id), None
        if looked.poster is not None:
            await self._objects.put_bytes(key, looked.poster, "image/jpeg")
            poster = key, len(looked.poster)
        if await self._store.record_poster(file.job_id, poster, looked.facts):
            self._signals.jobs_changed([file.job_id])
        # Else its file was removed meanwhile, and the removal of the poster is queued.
