"""The use cases for events: read them, and follow jobs as they change."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from reelhook.core.followers import Follower
from reelhook.core.wakeups import Signals
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import JobNotFoundError
from reelhook.ports import EventPage, FollowStore, StoredEvent
from reelhook.service.followers import Followers


class FeedReads(FollowStore, Protocol):
    """The part of the store that reading events needs."""

    async def events(
        self, job_ids: Sequence[str], after: Mapping[str, int], project: str | None = None
    ) -> list[StoredEvent]:
        """Return these jobs' events after the given sequences, in order."""
        ...

    async def events_after(
        self, event_id: str | None, limit: int, project: str | None = None
    ) -> EventPage:
        """Return events of all jobs after the given one, in the order in which they were written.

        Raises `InvalidRequestError` if the id is not that of an event.
        """
        ...


class Feed:
    """The events of jobs, and the means to wait for the next ones."""

    def __init__(self, store: FeedReads, signals: Signals, followers: Followers) -> None:
        self._store = store
        self._signals = signals
        self._followers = followers

    async def events(
        self, caller: Caller, job_ids: Sequence[str], after: Mapping[str, int] | None = None
    ) -> list[StoredEvent]:
        """Return the jobs' events after the given sequences, in order."""
        caller.require(Scope.READ)
        return await self._store.events(job_ids, after or {}, caller.sees)

    async def events_after(
        self, caller: Caller, event_id: str | None = None, limit: int = 100
    ) -> EventPage:
        """Return the events after the given one of all jobs that the caller sees.

        They are in the order in which they were written. Raises `InvalidRequestError` if the id is
        not that of an event.
        """
        caller.require(Scope.READ)
        return await self._store.events_after(event_id, limit, caller.sees)

    async def sequences(self, caller: Caller, job_ids: Sequence[str]) -> dict[str, int]:
        """Return the sequence of each job's last event. Raises `JobNotFoundError`."""
        caller.require(Scope.READ)
        found = await self._store.sequences(job_ids, caller.sees)
        if len(found) < len(set(job_ids)):
            raise JobNotFoundError
        return found

    def follow(self, caller: Caller, job_ids: Collection[str]) -> AbstractContextManager[Follower]:
        """Follow these jobs until the block ends. The follower wakes when one of them changes.

        It learns nothing else: read `sequences` first, which raises for a job that the caller does
        not see.
        """
        caller.require(Scope.READ)
        return self._followers.jobs(job_ids)

    # -- the whole process --------------------------------------------------------------------

    @property
    def changed(self) -> asyncio.Event:
        """The event that is set when any job changes after this instant."""
        return self._signals.changed.next

    @property
    def stopping(self) -> asyncio.Event:
        """The event that is set when the program stops."""
        return self._followers.stopping

    def stop(self) -> None:
        """End all streams and waits, because the program stops."""
        self._followers.stopping.set()
        self._signals.changed.notify()
        self._signals.changed.wake_all()
