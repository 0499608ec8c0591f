"""Following jobs: each follower wakes only when its own jobs change.

A change in this process comes with the jobs' ids. Another process only says that something
changed; then one read of the event feed, for all followers together, finds the jobs.
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
FEED_POLL_SECONDS = 0.2
"""The least time between two reads, because other processes may announce changes continuously."""
FEED_RETRY_SECONDS = 1.0
"""The pause before a read that failed is tried again."""
EVENTS_PER_READ = 5000


class Followers:
    """Lets callers follow jobs, and reads the feed while there are followers."""

    def __init__(self, store: FollowStore, signals: Signals, *, clock: Clock) -> None:
        self._store = store
        self._signals = signals
        self._clock = clock
        self._followers = 0
        self.stopping = asyncio.Event()
        """Set when the program stops, to end all waits."""
        self._reading: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def jobs(self, job_ids: Collection[str]) -> Iterator[Follower]:
        """Follow these jobs until the block ends. Earlier changes are not reported."""
        with self._signals.changed.follow(job_ids) as follower:
            self._followers += 1
            if self._reading is None:
                self._reading = asyncio.create_task(self._read_feed())
            try:
                yield follower
            finally:
                self._followers -= 1
                if not self._followers:
                    self._reading.cancel()
                    self._reading = None

    async def _read_feed(self) -> None:
        changed, position = self._signals.changed, None
        while True:
            if position is not None:
                await changed.elsewhere.wait()
            changed.elsewhere.clear()  # a change announced from now on may miss this read
            try:
                position = await self._wake_changed(position)
            except Exception as error:  # of any kind: followers rely on the next read
                if not isinstance(error, StoreError):
                    log.exception("following.failed")
                changed.elsewhere.set()
                await self._clock.wait(asyncio.Event(), FEED_RETRY_SECONDS)
            else:
                await self._clock.wait(asyncio.Event(), FEED_POLL_SECONDS)

    async def _wake_changed(self, position: int | None) -> int:
        """Wake followers of jobs with events after this position; return the feed's last one."""
        if position is None:
            position = await self._store.last_position()
            # Jobs may have changed between the followers' first read and this one.
            self._signals.changed.wake_all()
            return position
        while True:
            found: Sequence[tuple[int, str]] = await self._store.jobs_of_events_after(
                position, EVENTS_PER_READ
            )
            if found:
                position = found[-1][0]
                self._signals.changed.wake({job_id for _, job_id in found})
            if len(found) < EVENTS_PER_READ:
                return position
