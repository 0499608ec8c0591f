"""The store: every operation by name, on the database that was opened."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.account_status import AccountStatus
from reelhook.domain.delivery import Attempt, Delivery
from reelhook.domain.endpoint import ALL_LANES, Endpoint
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.listing import Known, ListingFacts
from reelhook.ports import (
    ANY_BYTES,
    PROBES_READ,
    Acceptance,
    AccountLoad,
    AccountRecord,
    Change,
    CostLine,
    Created,
    DeliveryFilter,
    DeliveryPage,
    Destination,
    DueDeliveries,
    DueEndpoint,
    EventPage,
    JobPage,
    Lease,
    ListedJob,
    NewJob,
    Position,
    Removal,
    Resend,
    Settlement,
    StoredDelivery,
    StoredEvent,
    StoredJob,
    Undelivered,
)
from reelhook.ports.clock_repair import LongestWaits
from reelhook.storage.operation import Database, Operation
from reelhook.storage.operations import account_load as workload
from reelhook.storage.operations import account_status as shared
from reelhook.storage.operations import clock_repair as mending
from reelhook.storage.operations import (
    conflict_keys,
    deliveries,
    due,
    endpoints,
    in_doubt,
    jobs,
    lookups,
    retention,
    watching,
)
from reelhook.storage.operations import event_feed as repair
from reelhook.storage.operations import feed_position as following
from reelhook.storage.operations import leases as ownership
from reelhook.storage.operations.rows import job_of

SHORT_PAGE = 50
"""Up to so many jobs are read without waiting for other pages."""


class Store:
    """Implements the store's ports.

    Every method may raise `StoreError`; then nothing was written, and nothing will be. One that
    writes may raise `CommitUnknownError` too.
    """

    def __init__(self, database: Database) -> None:
        self._write = database.write
        self._read = database.read
        self._aside = database.background
        self._long_page = asyncio.Lock()

    # -- writes -------------------------------------------------------------------------------

    async def create(self, new: NewJob) -> Created:
        """See `ServiceStore.create`."""
        return await self._write(lambda: jobs.create(new), conflict_keys.of_new(new))

    async def record(self, changes: Sequence[Change], lease: Lease | None) -> list[str]:
        """See `Recorder.record`."""
        touched = conflict_keys.of_changes(changes)
        return await self._write(lambda: jobs.record(changes, lease), touched)

    async def accept(
        self, change: Change, lease: Lease | None, sharing: Sequence[str] = ()
    ) -> Acceptance:
        """See `SubmitStore.accept`."""
        touched = conflict_keys.of_changes((change,))
        return await self._write(lambda: jobs.accept(change, lease, sharing), touched)

    async def settle(self, settlement: Settlement) -> Delivery | None:
        """See `DeliveryStore.settle`."""
        touched = conflict_keys.of_settlement(settlement)
        return await self._write(lambda: deliveries.settle(settlement), touched)

    async def create_endpoint(self, endpoint: Endpoint) -> None:
        """See `EndpointStore.create_endpoint`."""
        await self._write(lambda: endpoints.create(endpoint))

    async def change_endpoint(
        self, endpoint_id: str, change: Callable[[Endpoint], Endpoint]
    ) -> Endpoint:
        """See `EndpointStore.change_endpoint`."""
        return await self._write(lambda: endpoints.change(endpoint_id, change))

    async def delete_endpoint(self, endpoint_id: str, now: Instant) -> None:
        """See `EndpointStore.delete_endpoint`."""
        await self._write(lambda: endpoints.delete(endpoint_id, now))

    async def keep_default_endpoint(self, endpoint: Endpoint) -> None:
        """See `EndpointStore.keep_default_endpoint`."""
        await self._write(lambda: endpoints.keep_default(endpoint))

    async def resend_one(self, delivery_id: int, sequence: int | None, now: Instant) -> Delivery:
        """See `RepairStore.resend_one`."""
        return await self._write(lambda: repair.resend_one(delivery_id, sequence, now))

    async def start_resend(self, resend: Resend) -> None:
        """See `RepairStore.start_resend`."""
        await self._write(lambda: repair.start(resend))

    async def advance_resend(
        self, resend_id: str, limit: int, now: Instant, lease: Lease | None = None
    ) -> Resend:
        """See `ResendStore.advance_resend`."""
        return await self._write(lambda: repair.advance(resend_id, limit, now, lease))

    async def free_leases(self) -> None:
        """See `ownership.free_leases`."""
        await self._write(ownership.free_leases)

    async def tend(
        self, worker: str, ids: Sequence[str], lease_milliseconds: int
    ) -> tuple[list[Lease], int]:
        """See `LeaseStore.tend`."""
        return await self._write(lambda: ownership.tend(worker, ids, lease_milliseconds))

    async def renew(self, worker: str, lease_milliseconds: int) -> list[Lease]:
        """See `LeaseStore.renew`."""
        return await self._write(lambda: ownership.renew(worker, lease_milliseconds))

    async def release(self, worker: str, leases: Sequence[Lease], *, leaving: bool) -> None:
        """See `LeaseStore.release`."""
        await self._write(lambda: ownership.release(worker, leases, leaving=leaving))

    async def record_listing_facts(
        self, account: str, facts: ListingFacts, lease: Lease | None
    ) -> None:
        """See `ListingStore.record_listing_facts`."""
        await self._write(lambda: lookups.record_listing_facts(account, facts, lease))

    async def record_round(self, account: str, now: Instant, lease: Lease | None = None) -> None:
        """See `WatchStore.record_round`."""
        await self._write(lambda: ownership.record_round(account, now, lease))

    async def record_check(self, job_id: str, now: Instant) -> None:
        """See `ServiceStore.record_check`."""
        await self._write(lambda: ownership.record_check(job_id, now), (job_id,))

    async def pause_watching(self, now: Instant) -> None:
        """See `ServiceStore.pause_watching`."""
        await self._write(lambda: shared.pause_watching(now))

    async def resume_watching(self) -> None:
        """See `ServiceStore.resume_watching`."""
        await self._write(shared.resume_watching)

    async def mend(self, now: Instant, longest: LongestWaits) -> None:
        """See `MendingStore.mend`."""
        await self._write(lambda: mending.mend(now, longest))

    async def save_account_status(
        self, account: str, account_status: AccountStatus, lease: Lease | None
    ) -> None:
        """See `AccountStore.record_fares`."""
        await self._write(lambda: shared.save_account_status(account, account_status, lease))

    async def forget_idempotency_keys(self, created_before: Instant) -> int:
        """See `SweepStore.forget_idempotency_keys`."""
        return await self._write(lambda: ownership.forget_idempotency_keys(created_before))

    async def upstream(self, kind: str) -> str:
        """See `ownership.upstream`."""
        return await self._write(lambda: ownership.upstream(kind))

    async def key(self, name: str, made: str) -> str:
        """See `ownership.key`."""
        return await self._write(lambda: ownership.key(name, made))

    async def probe(self) -> None:
        """See `ServiceStore.probe`."""
        await self._write(ownership.probe)

    async def remove_attempts(self, position: Position, before: Instant) -> Removal:
        """See `RetentionStore.remove_attempts`."""
        return await self._aside(lambda: retention.attempts(position, before))

    async def remove_jobs(
        self, position: Position, ended_before: Instant, waiting_before: Instant
    ) -> Removal:
        """See `RetentionStore.remove_jobs`."""
        return await self._aside(lambda: retention.jobs(position, ended_before, waiting_before))

    async def remove_resends(self, before: Instant) -> Removal:
        """See `RetentionStore.remove_resends`."""
        return await self._aside(lambda: retention.resends(before))

    async def remove_endpoints(self, position: Position, before: Instant) -> Removal:
        """See `RetentionStore.remove_endpoints`."""
        ids, behind = await self._read(lambda: retention.unused_endpoints(position, before))
        removed = 0
        if ids:
            removed = await self._aside(lambda: retention.endpoints(ids), lock="endpoints")
        return Removal(removed, behind)

    # -- reads --------------------------------------------------------------------------------

    async def job(self, job_id: str) -> StoredJob:
        """See `ServiceStore.job`."""
        return await self._read(lambda: jobs.job(job_id))

    async def jobs(self, status: Status | None, limit: int, cursor: str | None) -> JobPage:
        """See `ServiceStore.jobs`."""
        return await self._read_page(lambda: jobs.page(status, limit, cursor), limit)

    async def events(self, job_ids: Sequence[str], after: Mapping[str, int]) -> list[StoredEvent]:
        """See `ServiceStore.events`."""
        return await self._read(lambda: jobs.events(job_ids, after))

    async def last_position(self) -> int:
        """See `FollowStore.last_position`."""
        return await self._read(following.last_position)

    async def jobs_of_events_after(self, position: int, limit: int) -> list[tuple[int, str]]:
        """See `FollowStore.jobs_of_events_after`."""
        return await self._read(lambda: following.jobs_of_events_after(position, limit))

    async def sequences(self, job_ids: Sequence[str]) -> dict[str, int]:
        """See `FollowStore.sequences`."""
        return await self._read(lambda: following.sequences(job_ids))

    async def counts(self) -> dict[str, int]:
        """See `ServiceStore.counts`."""
        return await self._read(jobs.counts)

    async def jobs_to_submit(
        self, account: str, now: Instant, limit: int, bytes_max: int = ANY_BYTES
    ) -> tuple[list[StoredJob], Instant | None]:
        """See `SubmitStore.jobs_to_submit`."""
        return await self._read(lambda: jobs.to_submit(account, now, limit, bytes_max))

    async def jobs_with_fallbacks(
        self, account: str, waiting_since: Instant, limit: int
    ) -> list[ListedJob]:
        """See `SubmitStore.jobs_with_fallbacks`."""
        return await self._read(lambda: workload.with_fallbacks(account, waiting_since, limit))

    async def jobs_waiting_elsewhere(
        self,
        accounts: Sequence[str],
        idle_since: Instant,
        limit: int,
        bytes_max: int = ANY_BYTES,
    ) -> list[StoredJob]:
        """See `SubmitStore.jobs_waiting_elsewhere`."""
        return await self._read(
            lambda: workload.waiting_elsewhere(accounts, idle_since, limit, bytes_max)
        )

    async def in_flight(self, account: str) -> int:
        """See `SubmitStore.in_flight`."""
        return await self._read(lambda: workload.in_flight(account))

    async def account_loads(self) -> dict[str, AccountLoad]:
        """See `ServiceStore.account_loads`."""
        return await self._read(workload.loads)

    async def jobs_ahead(self, job: Job) -> int:
        """See `ServiceStore.jobs_ahead`."""
        return await self._read(lambda: workload.ahead(job))

    async def costs(self, since: Instant, until: Instant) -> list[CostLine]:
        """See `ServiceStore.costs`."""
        return await self._read(lambda: workload.costs(since, until))

    async def jobs_in_doubt(self, limit: int, cursor: str | None) -> JobPage:
        """See `ServiceStore.doubtful_jobs`."""
        return await self._read_page(lambda: in_doubt.page(limit, cursor), limit)

    async def _read_page(self, make: Callable[[], Operation[JobPage]], limit: int) -> JobPage:
        """Read a page of jobs; of long ones only one at a time.

        SQLite has few readers, and walks over each row's image to what is stored after it: 400 jobs
        with images take 50 ms.
        """
        if limit <= SHORT_PAGE:
            return await self._read(make)
        async with self._long_page:
            return await self._read(make)

    async def close_doubt(self, job_id: str, now: Instant) -> bool:
        """See `ServiceStore.close_doubt`."""
        return await self._write(lambda: in_doubt.close_doubt(job_id, now), (job_id,))

    async def destinations(self, job_id: str) -> list[Destination]:
        """See `ServiceStore.destinations`."""
        return await self._read(lambda: in_doubt.destinations(job_id))

    async def job_of_provider(
        self, accounts: Sequence[str], provider_job_id: str
    ) -> StoredJob | None:
        """See `ServiceStore.job_of_provider`."""
        return await self._read(lambda: in_doubt.of_provider(accounts, provider_job_id))

    async def jobs_now(self, job_ids: Sequence[str]) -> list[Job]:
        """See `SubmitStore.jobs_now`."""
        return await self._read(lambda: jobs.now(job_ids))

    async def jobs_submitting(self, account: str) -> list[Job]:
        """See `SubmitStore.jobs_submitting`."""
        return await self._read(lambda: lookups.submitting(account))

    async def jobs_ended_unknown(self, accounts: Sequence[str], since: Instant) -> list[Job]:
        """See `LookupStore.jobs_ended_unknown`."""
        return await self._read(lambda: lookups.ended_unknown(accounts, since))

    async def jobs_to_look_up(self, job_ids: Sequence[str]) -> list[StoredJob]:
        """See `LookupStore.jobs_to_look_up`."""
        return await self._read(lambda: lookups.to_look_up(job_ids))

    async def jobs_to_watch(self, account: str, accepted_since: Instant = 0) -> list[Job]:
        """See `WatchStore.jobs_to_watch`."""
        rows = await self._read(lambda: watching.to_watch(account, accepted_since))
        # PostgreSQL's are made on the event loop, and 100,000 would hold it up for 0.3 s.
        return await run_in_thread_if_large(len(rows), lambda: [job_of(row) for row in rows])

    async def versions_to_watch(self, account: str) -> str:
        """See `WatchStore.versions_to_watch`."""
        return await self._read(lambda: watching.versions_to_watch(account))

    async def watched_jobs(self, job_ids: Sequence[str]) -> list[Job]:
        """See `WatchStore.watched_jobs`."""
        return await self._read(lambda: watching.watched(job_ids))

    async def jobs_unsubmitted_before(self, created_before: Instant) -> list[Job]:
        """See `SweepStore.jobs_unsubmitted_before`."""
        return await self._read(lambda: jobs.unsubmitted_before(created_before))

    async def jobs_unfinished_before(self, accepted_before: Instant) -> list[Job]:
        """See `SweepStore.jobs_unfinished_before`."""
        return await self._read(lambda: jobs.unfinished_before(accepted_before))

    async def known_entries(
        self, accounts: Sequence[str], server: str, provider_job_ids: Sequence[str]
    ) -> dict[str, Known]:
        """See `LookupStore.known_entries`."""
        return await self._read(lambda: lookups.known_entries(accounts, server, provider_job_ids))

    async def expected_entries(
        self, account: str, fingerprint: str, since: Instant, until: Instant, limit: int
    ) -> dict[str, Instant]:
        """See `LookupStore.expected_entries`."""
        return await self._read(
            lambda: lookups.expected_entries(account, fingerprint, since, until, limit)
        )

    async def newest_entries(self, account: str, fingerprint: str, limit: int) -> list[str]:
        """See `ListingStore.newest_entries`."""
        return await self._read(lambda: lookups.newest_entries(account, fingerprint, limit))

    async def listing_facts(self, account: str) -> ListingFacts | None:
        """See `ListingStore.listing_facts`."""
        return await self._read(lambda: lookups.listing_facts(account))

    async def account_records(self) -> dict[str, AccountRecord]:
        """See `ServiceStore.account_records`."""
        return await self._read(shared.account_records)

    async def watching_paused_since(self) -> Instant | None:
        """See `PauseStore.watching_paused_since`."""
        return await self._read(shared.watching_paused_since)

    async def account_status(self, account: str) -> AccountStatus:
        """See `AccountStore.fares`."""
        return await self._read(lambda: shared.account_status(account))

    async def due_deliveries(
        self,
        now: Instant,
        *,
        lanes: frozenset[int] = ALL_LANES,
        per_endpoint: int,
        limit: int,
        busy: frozenset[str],
        probes: int = PROBES_READ,
    ) -> DueDeliveries:
        """See `DeliveryStore.due_deliveries`."""
        return await self._read(lambda: due.due(now, per_endpoint, limit, busy, lanes, probes))

    async def rest_endpoints(self, endpoint_ids: Sequence[str]) -> None:
        """See `DeliveryStore.rest_endpoints`."""
        await self._aside(lambda: due.rest(endpoint_ids))

    async def deliveries_waiting(self) -> int:
        """See `ServiceStore.deliveries_waiting`."""
        return await self._read(due.waiting)

    async def due_delivery(self, delivery_id: int, now: Instant) -> DueEndpoint | None:
        """See `DeliveryStore.due_delivery`."""
        return await self._read(lambda: due.due_by_id(delivery_id, now))

    async def ended_meanwhile(self, delivery_ids: Sequence[int]) -> list[int]:
        """See `DeliveryStore.ended_meanwhile`."""
        return await self._read(lambda: due.ended_meanwhile(delivery_ids))

    async def endpoints(self) -> list[Endpoint]:
        """See `EndpointStore.endpoints`."""
        return await self._read(endpoints.listed)

    async def endpoints_held_back(self) -> list[Endpoint]:
        """See `EndpointStore.endpoints_held_back`."""
        return await self._read(endpoints.held_back)

    async def endpoint_counts(self) -> dict[str, int]:
        """See `ServiceStore.endpoint_counts`."""
        return await self._read(endpoints.counts)

    async def endpoint(self, endpoint_id: str) -> Endpoint:
        """See `EndpointStore.endpoint`."""
        return await self._read(lambda: endpoints.one(endpoint_id))

    async def events_after(self, event_id: str | None, limit: int) -> EventPage:
        """See `RepairStore.events_after`."""
        return await self._read(lambda: repair.events_after(event_id, limit))

    async def deliveries(
        self, wanted: DeliveryFilter, limit: int, cursor: int | None
    ) -> DeliveryPage:
        """See `RepairStore.deliveries`."""
        return await self._read(lambda: repair.deliveries(wanted, limit, cursor))

    async def delivery(self, delivery_id: int) -> StoredDelivery:
        """See `RepairStore.delivery`."""
        return await self._read(lambda: repair.delivery(delivery_id))

    async def attempts(self, delivery_id: int, limit: int) -> list[Attempt]:
        """See `RepairStore.attempts`."""
        return await self._read(lambda: repair.attempts(delivery_id, limit))

    async def undelivered(self, delivery_id: int) -> list[Undelivered]:
        """See `RepairStore.undelivered`."""
        return await self._read(lambda: repair.undelivered(delivery_id))

    async def resend(self, resend_id: str) -> Resend:
        """See `RepairStore.resend`."""
        return await self._read(lambda: repair.resend(resend_id))

    async def unfinished_resends(self) -> Sequence[Resend]:
        """See `ResendStore.unfinished_resends`."""
        return await self._read(repair.unfinished)
