"""Operations: how everything fares, what it cost, and the watcher's switch."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from reelhook.core.wakeups import Signals
from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.errors import CommitUnknownError, StoreError
from reelhook.domain.event import Instant
from reelhook.ports import AccountLoad, Clock, CostLine, OperationsStore

PROBED_MILLISECONDS = 5000
"""For how long a probe of the database counts: health checks may come many times a second."""
PROBE_SECONDS = 3.0


class Operations:
    """What an operator asks and decides. `poll_seconds` is the watcher's interval."""

    def __init__(
        self,
        store: OperationsStore,
        catalog: Catalog,
        signals: Signals,
        *,
        poll_seconds: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._signals = signals
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._switching: asyncio.Task[None] | None = None
        self._written_at = -PROBED_MILLISECONDS

    async def stats(self) -> dict[str, Any]:
        """Return counts of jobs and deliveries, and how the watcher fares."""
        counts = await self._store.counts()
        paused_since = await self.watching_paused_since()
        loads = await self._store.account_loads()
        return {
            "jobs": {"total": sum(counts.values()), **counts},
            "deliveries": {"waiting": await self._store.deliveries_waiting()},
            "endpoints": await self._store.endpoint_counts(),
            "watcher": {
                "paused": paused_since is not None,
                "paused_since": paused_since,
                "poll_seconds": self._poll_seconds,
                "last_round_at": max(
                    filter(
                        None,
                        [await self._store.last_round(one) for one in self._catalog.accounts],
                    ),
                    default=None,
                ),
            },
            "accounts": [
                await self._standing(account, loads.get(account.id, AccountLoad()))
                for account in self._catalog.accounts.values()
            ],
        }

    async def _standing(self, account: Account, load: AccountLoad) -> dict[str, Any]:
        account_status, now = await self._store.account_status(account.id), self._clock.now()
        stretched = account_status.stretched_milliseconds
        return {
            "id": account.id,
            "provider": account.provider,
            "waiting": load.waiting,
            "in_flight": load.in_flight,
            "jobs_max": account.jobs_max,
            "healthy": account_status.unauthorized is None,
            "error": account_status.unauthorized,
            "stretched_seconds": None if stretched is None else stretched / 1000,
            "reads_wait_until": _if_ahead(account_status.reads_wait_until, now),
            "creates_wait_until": _if_ahead(account_status.creates_wait_until, now),
            "refused": load.refused,
            "unread": account_status.reads,
        }

    async def costs(self, since: Instant, until: Instant) -> list[CostLine]:
        """Return what the jobs made between these moments cost, by day, model and unit."""
        return await self._store.costs(since, until)

    # -- the watcher's switch -----------------------------------------------------------------

    def pause_watching(self) -> Awaitable[None]:
        """Stop asking providers, in every process, until `resume_watching`; a restart is none.

        It begins at once; await it to know that it is kept. Needs a running loop.
        """
        return self._switch(partial(self._store.pause_watching, self._clock.now()))

    def resume_watching(self) -> Awaitable[None]:
        """Ask providers again, at once; await it to know that it is kept."""
        return self._switch(self._store.resume_watching)

    def _switch(self, write: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        before = self._switching

        async def switch() -> None:
            if before is not None:
                await asyncio.wait([before])
            await write()
            self._signals.pause.publish()

        self._switching = asyncio.create_task(switch())
        return self._switching

    async def check_writable(self) -> None:
        """Raise `StoreError` unless the database was written within the last seconds, or is now."""
        if 0 <= self._clock.now() - self._written_at < PROBED_MILLISECONDS:
            return
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._store.probe()
        except (CommitUnknownError, TimeoutError):
            raise StoreError("The database did not say in time whether it can be written") from None
        self._written_at = self._clock.now()

    async def watching_paused_since(self) -> Instant | None:
        """Return since when watching is paused. Raises `StoreError` without a database."""
        if self._switching is not None:
            await asyncio.wait([self._switching])
        return await self._store.watching_paused_since()


def _if_ahead(moment: Instant | None, now: Instant) -> Instant | None:
    return moment if moment is not None and moment > now else None
