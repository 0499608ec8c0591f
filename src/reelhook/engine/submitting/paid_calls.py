"""The paid calls that this process has in flight for an account, under any of its leases.

If a lease is lost and taken again, a new `Submit` begins while calls of the old one may still be
in flight. Each of them still owns the entry that it may be creating.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class PaidCalls:
    """The paid calls of one account in this process."""

    def __init__(self) -> None:
        self._beginning: Counter[str] = Counter()
        self._live: dict[asyncio.Task[None], str] = {}

    @property
    def live(self) -> Collection[asyncio.Task[None]]:
        """The calls in flight."""
        return list(self._live)

    def owned(self) -> set[str]:
        """Return the jobs whose call is in flight, or whose intent is being stored."""
        return {*self._live.values(), *self._beginning}

    @contextmanager
    def beginning(self, job_ids: Collection[str]) -> Iterator[None]:
        """Own these jobs while their intents are being stored."""
        ids = list(job_ids)
        self._beginning.update(ids)
        try:
            yield
        finally:
            self._beginning.subtract(ids)
            self._beginning = +self._beginning

    def add(self, job_id: str, call: asyncio.Task[None]) -> None:
        """Own a job until its call has ended."""
        self._live[call] = job_id
        call.add_done_callback(self._live.pop)
