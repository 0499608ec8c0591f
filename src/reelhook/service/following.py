"""Following jobs: whoever does is woken by the changes of its own jobs and by no others.

What changed in this process is told with the jobs' ids. Of other processes it is told only that
something changed: then one look at the feed of events, for all followers together, finds whose.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterator, Sequence

import structlog

from reelhook.core.followers import Follower
from reelhook.core.wakeups import Signals
from reelhook.domain.errors import StoreError
from reelhook.ports import Clock, FollowStore

log = structlog.get_logger()
LOOK_SECONDS = 0.2
"""How long to wait at least between two looks: other processes may tell of changes all the time."""
AGAIN_SECONDS = 1.0
"""How long to wait before a look that failed is tried again."""
EVENTS_PER_LOOK = 5000


class Followers:
    """Lets callers follow jobs, and looks at the feed while anyone does."""

    def __init__(self, store: FollowStore, signals: Signals, *, clock: Clock) -> None:
        self._store = store
        self._signals = signals
        self._clock = clock
        self._followers = 0
        self._looking: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def jobs(self, job_ids: Collection[str]) -> Iterator[Follower]:
        """Follow these jobs until the block ends. What changed before it began is not told."""
        with self._signals.changed.follow(job_ids) as follower:
            self._followers += 1
            if self._looking is None:
                self._looking = asyncio.create_task(self._look())
            try:
                yield follower
            finally:
                self._followers -= 1
                if not self._followers:
                    self._looking.cancel()
                    self._looking = None

    async def _look(self) -> None:
        changed, position = self._signals.changed, None
        while True:
            if position is not None:
                await changed.elsewhere.wait()
            changed.elsewhere.clear()  # what is told from now on may be too late for this look
            try:
                position = await self._looked(position)
            except Exception as error:  # whatever it was: those who follow wait for the next look
                if not isinstance(error, StoreError):
                    log.exception("following.failed")
                changed.elsewhere.set()
                await self._clock.wait(asyncio.Event(), AGAIN_SECONDS)
            else:
                await self._clock.wait(asyncio.Event(), LOOK_SECONDS)

    async def _looked(self, position: int | None) -> int:
        """Wake whose jobs have events behind this position; return the last one that there is."""
        if position is None:
            position = await self._store.last_position()
            # Something may have happened after their own first look, and before this one.
            self._signals.changed.wake_all()
            return position
        while True:
            found: Sequence[tuple[int, str]] = await self._store.jobs_of_events_after(
                position, EVENTS_PER_LOOK
            )
            if found:
                position = found[-1][0]
                self._signals.changed.wake({job_id for _, job_id in found})
            if len(found) < EVENTS_PER_LOOK:
                return position
