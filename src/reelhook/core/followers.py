"""Wakes the readers that wait for changes of jobs."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Iterator


class Follower:
    """A reader of some jobs. `changed` is set when one of them has changed, or may have."""

    def __init__(self, job_ids: Collection[str]) -> None:
        self._job_ids = frozenset(job_ids)
        self._due = set(self._job_ids)
        self.changed = asyncio.Event()

    def wake(self, job_ids: Iterable[str] | None = None) -> None:
        """Report that these of its jobs have changed; None: any of them may have."""
        self._due.update(self._job_ids if job_ids is None else job_ids)
        self.changed.set()

    def take(self) -> list[str]:
        """Return the jobs to read: all of them at first, then those that changed since."""
        self.changed.clear()
        due, self._due = self._due, set()
        return sorted(due)


class Broadcast:
    """Wakes everyone who waits for any change, and the followers of the jobs that changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._followers: dict[str, set[Follower]] = {}
        self.elsewhere = asyncio.Event()
        """Set when unspecified jobs may have changed in another process."""

    @contextlib.contextmanager
    def follow(self, job_ids: Collection[str]) -> Iterator[Follower]:
        """Follow these jobs until the block ends."""
        follower = Follower(job_ids)
        for job_id in job_ids:
            self._followers.setdefault(job_id, set()).add(follower)
        try:
            yield follower
        finally:
            for job_id in job_ids:
                self._followers[job_id].discard(follower)
                if not self._followers[job_id]:
                    del self._followers[job_id]

    def notify(self, job_ids: Iterable[str] = ()) -> None:
        """Wake everyone in this process who waits now, and the followers of these jobs."""
        event, self._event = self._event, asyncio.Event()
        event.set()
        self.wake(job_ids)

    def wake(self, job_ids: Iterable[str]) -> None:
        """Wake the followers of these jobs."""
        for job_id in job_ids:
            for follower in self._followers.get(job_id, ()):
                follower.wake((job_id,))

    def wake_all(self) -> None:
        """Wake every follower: each reads all of its jobs."""
        for follower in set[Follower]().union(*self._followers.values()):
            follower.wake()

    @property
    def next(self) -> asyncio.Event:
        """The event that the next `notify` sets."""
        return self._event
