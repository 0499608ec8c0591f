"""The store: every operation by name, on the database that was opened."""

from collections.abc import Callable, Mapping, Sequence

from reelhook.domain.delivery import Attempt, Delivery
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.ports import (
    Acceptance,
    Change,
    Created,
    DueDeliveries,
    JobPage,
    Lease,
    NewJob,
    StoredEvent,
    StoredJob,
)
from reelhook.storage import deliveries, jobs, ownership
from reelhook.storage.sqlite import SQLite


class Store:
    """Implements the store's ports. Every method may raise `StoreError`."""

    def __init__(self, database: SQLite) -> None:
        self._write = database.write
        self._read = database.read

    # -- writes -------------------------------------------------------------------------------

    async def create(self, new: NewJob) -> Created:
        """See `ServiceStore.create`."""
        return await self._write(lambda: jobs.create(new))

    async def record(self, changes: Sequence[Change], lease: Lease | None) -> list[str]:
        """See `Recorder.record`."""
        return await self._write(lambda: jobs.record(changes, lease))

    async def accept(self, change: Change, lease: Lease | None) -> Acceptance:
        """See `SubmitStore.accept`."""
        return await self._write(lambda: jobs.accept(change, lease))

    async def settle(self, attempt: Attempt, decide: Callable[[Delivery], Delivery]) -> Delivery:
        """See `DeliveryStore.settle`."""
        return await self._write(lambda: deliveries.settle(attempt, decide))

    async def take_leases(self, ids: Sequence[str], owner: str, until: Instant) -> list[Lease]:
        """See `ownership.take_leases`."""
        return await self._write(lambda: ownership.take_leases(ids, owner, until))

    async def prove_listing(self, account: str) -> None:
        """See `SubmitStore.prove_listing`."""
        await self._write(lambda: ownership.prove_listing(account))

    async def record_round(self, account: str, now: Instant) -> None:
        """See `WatchStore.record_round`."""
        await self._write(lambda: ownership.record_round(account, now))

    async def record_check(self, job_id: str, now: Instant) -> None:
        """See `ServiceStore.record_check`."""
        await self._write(lambda: ownership.record_check(job_id, now))

    async def forget_idempotency_keys(self, created_before: Instant) -> int:
        """See `SweepStore.forget_idempotency_keys`."""
        return await self._write(lambda: ownership.forget_idempotency_keys(created_before))

    async def key(self, name: str, made: str) -> str:
        """See `ownership.key`."""
        return await self._write(lambda: ownership.key(name, made))

    # -- reads --------------------------------------------------------------------------------

    async def job(self, job_id: str) -> StoredJob:
        """See `ServiceStore.job`."""
        return await self._read(lambda: jobs.job(job_id))

    async def jobs(self, status: Status | None, limit: int, cursor: str | None) -> JobPage:
        """See `ServiceStore.jobs`."""
        return await self._read(lambda: jobs.page(status, limit, cursor))

    async def events(self, job_ids: Sequence[str], after: Mapping[str, int]) -> list[StoredEvent]:
        """See `ServiceStore.events`."""
        return await self._read(lambda: jobs.events(job_ids, after))

    async def counts(self) -> dict[str, int]:
        """See `ServiceStore.counts`."""
        return await self._read(jobs.counts)

    async def jobs_to_submit(
        self, account: str, now: Instant, limit: int
    ) -> tuple[list[StoredJob], Instant | None]:
        """See `SubmitStore.jobs_to_submit`."""
        return await self._read(lambda: jobs.to_submit(account, now, limit))

    async def jobs_submitting(self, account: str) -> list[StoredJob]:
        """See `SubmitStore.jobs_submitting`."""
        return await self._read(lambda: jobs.submitting(account))

    async def jobs_to_watch(self, account: str, accepted_since: Instant = 0) -> list[Job]:
        """See `WatchStore.jobs_to_watch`."""
        return await self._read(lambda: jobs.to_watch(account, accepted_since))

    async def jobs_unsubmitted_before(self, created_before: Instant) -> list[Job]:
        """See `SweepStore.jobs_unsubmitted_before`."""
        return await self._read(lambda: jobs.unsubmitted_before(created_before))

    async def claimed(self, account: str, provider_job_ids: Sequence[str]) -> dict[str, bool]:
        """See `SubmitStore.claimed`."""
        return await self._read(lambda: jobs.claimed(account, provider_job_ids))

    async def listing_proven(self, account: str) -> bool:
        """See `SubmitStore.listing_proven`."""
        return await self._read(lambda: ownership.listing_proven(account))

    async def last_round(self, account: str) -> Instant | None:
        """See `ServiceStore.last_round`."""
        return await self._read(lambda: ownership.last_round(account))

    async def due_deliveries(
        self, now: Instant, *, per_endpoint: int, limit: int, busy: frozenset[str]
    ) -> DueDeliveries:
        """See `DeliveryStore.due_deliveries`."""
        return await self._read(lambda: deliveries.due(now, per_endpoint, limit, busy))

    async def deliveries_waiting(self) -> int:
        """See `ServiceStore.deliveries_waiting`."""
        return await self._read(deliveries.waiting)
