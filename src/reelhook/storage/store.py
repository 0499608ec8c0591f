"""The store: every operation by name, on an open database."""

import asyncio
from collections.abc import Callable
from functools import partial

from reelhook.core.offload import run_in_thread_if_large
from reelhook.domain.audit import AuditEntry
from reelhook.domain.encryption import Keyring, NoEncryptionKeyError
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.project import Project
from reelhook.ports import (
    Created,
    Destination,
    JobFilter,
    JobPage,
    NewJob,
    Position,
    ReencryptedBatch,
    Removal,
)
from reelhook.storage.archive_methods import ArchiveMethods
from reelhook.storage.at_rest import AtRest
from reelhook.storage.forwarding import (
    decrypting,
    in_background,
    reading,
    writing,
)
from reelhook.storage.operation import Database, Operation
from reelhook.storage.operations import (
    account_load,
    accounts,
    after_end,
    api_keys,
    audit,
    budgets,
    client_calls,
    clock_repair,
    closed_projects,
    conflict_keys,
    costs,
    deleting,
    delivery_log,
    delivery_writes,
    due,
    endpoint_reads,
    endpoint_writes,
    event_feed,
    files,
    idempotency,
    in_doubt,
    job_reads,
    job_writes,
    keys,
    late_checks,
    leases,
    lookups,
    notices,
    pause,
    pending_jobs,
    processes,
    projects,
    receipts,
    replays,
    resends,
    retention,
    secrets_at_rest,
    submit_queue,
    uploads,
)
from reelhook.storage.operations.rows import job_of
from reelhook.storage.report_methods import ReportMethods
from reelhook.storage.storing_files import create_with_files

SHORT_PAGE = 50
"""Pages of at most this many jobs are read without waiting for other pages."""


class Store(ArchiveMethods, ReportMethods):
    """Implements the store's ports, which document these methods.

    Every method may raise `StoreError`; then nothing was written, and nothing will be. A method
    that writes may also raise `CommitUnknownError`. `keyring` encrypts secrets at rest.
    """

    def __init__(self, database: Database, keyring: Keyring | None = None) -> None:
        super().__init__(database, AtRest(keyring))
        self._long_page = asyncio.Lock()

    # -- jobs ---------------------------------------------------------------------------------

    _create = writing(job_writes.create, conflict_keys.of_new)
    keep_files = in_background(files.keep)
    remove_unused_files = in_background(files.remove_unused)
    keep_upload = in_background(uploads.keep)
    hold_uploads = writing(uploads.hold)
    record = writing(job_writes.record, conflict_keys.of_record)
    record_after_end = writing(after_end.record)
    accept = writing(job_writes.accept, conflict_keys.of_acceptance)
    record_check = writing(job_writes.record_check, conflict_keys.of_job)
    close_doubt = writing(in_doubt.abandon, conflict_keys.of_doubt)
    delete_job = writing(deleting.delete)
    forget_idempotency_keys = writing(idempotency.forget)

    replay_of_key = reading(replays.of_key)
    join = writing(replays.join)
    is_repeated = reading(client_calls.is_repeated)
    unused_call = reading(client_calls.unused)
    use_job = writing(client_calls.use, conflict_keys.of_use)
    lose_response = writing(client_calls.lose, conflict_keys.of_lost_response)
    refuse_call = writing(client_calls.refuse, conflict_keys.of_refused_call)

    job = reading(job_reads.job)
    jobs_now = reading(job_reads.current)
    job_of_provider = reading(in_doubt.of_provider)
    _destinations = reading(in_doubt.destinations)
    events = reading(job_reads.events)
    counts = reading(job_reads.counts)
    jobs_unsubmitted_before = reading(job_reads.unsubmitted_before)
    jobs_unfinished_before = reading(job_reads.unfinished_before)

    async def create(self, new: NewJob) -> Created:
        """Store a job with its deliveries and key, after its files."""
        new = self._at_rest.encrypted_new(new)
        if not new.files:
            return await self._create(new)
        return await create_with_files(new, self._create, self.keep_files, self.remove_unused_files)

    async def destinations(self, job_id: str, project: str | None = None) -> list[Destination]:
        """Return the destinations of a job's events."""
        stored = await self._destinations(job_id, project)
        return self._at_rest.decrypted_destinations(job_id, stored)

    async def jobs(self, wanted: JobFilter, limit: int, cursor: str | None) -> JobPage:
        """Return a page of jobs."""
        return await self._page(partial(job_reads.page, wanted, limit, cursor), limit)

    async def jobs_in_doubt(
        self, limit: int, cursor: str | None, project: str | None = None
    ) -> JobPage:
        """Return a page of unresolved jobs, oldest first."""
        return await self._page(partial(in_doubt.page, limit, cursor, project), limit)

    async def _page(self, make: partial[Operation[JobPage]], limit: int) -> JobPage:
        """Read a page of jobs, with only one long page at a time.

        SQLite has few readers and scans over each row's image to reach the columns after it: 400
        jobs with images take 50 ms.
        """
        if limit <= SHORT_PAGE:
            return await self._database.read(make)
        async with self._long_page:
            return await self._database.read(make)

    # -- submitting and watching --------------------------------------------------------------

    jobs_to_submit = reading(submit_queue.due)
    jobs_waiting_elsewhere = reading(submit_queue.waiting_elsewhere)
    jobs_with_fallbacks = reading(submit_queue.with_fallbacks)
    jobs_ahead = reading(submit_queue.ahead)
    jobs_to_prepare = reading(files.unprepared)
    record_prepared = writing(files.prepared, conflict_keys.of_prepared)
    in_flight = reading(account_load.in_flight)
    account_loads = reading(account_load.loads)
    costs = reading(costs.by_day)

    versions_to_watch = reading(pending_jobs.versions)
    watched_jobs = reading(pending_jobs.among)
    _pending_rows = reading(pending_jobs.rows)

    async def jobs_to_watch(self, account: str) -> list[Job]:
        """Return an account's pending jobs, newest first."""
        rows = await self._pending_rows(account)
        # PostgreSQL's rows become jobs on the event loop, which 100,000 would block for 0.3 s.
        return await run_in_thread_if_large(len(rows), lambda: [job_of(row) for row in rows])

    record_late_check = writing(late_checks.record)
    late_checks = reading(late_checks.due)  # from here on it is this method's name

    # -- resolving creates --------------------------------------------------------------------

    jobs_submitting = reading(lookups.submitting)
    jobs_ended_unknown = reading(lookups.ended_unknown)
    jobs_to_look_up = reading(lookups.to_look_up)
    known_entries = reading(lookups.known_entries)
    expected_entries = reading(lookups.expected_entries)
    newest_entries = reading(lookups.newest_entries)
    listing_facts = reading(lookups.listing_facts)
    record_listing_facts = writing(lookups.record_listing_facts)

    # -- accounts, leases and the installation ------------------------------------------------

    record_round = writing(accounts.record_round)
    last_round = reading(accounts.last_round)
    account_records = reading(accounts.records)
    save_account_status = writing(accounts.save_status)
    account_status = reading(accounts.status)
    heartbeat = writing(leases.heartbeat)
    renew = writing(leases.renew)
    release = writing(leases.release)
    free_leases = writing(leases.free_leases)
    announce = in_background(processes.announce)
    leave = in_background(processes.leave)
    pause_watching = writing(pause.pause_watching)
    resume_watching = writing(pause.resume_watching)
    watching_paused_since = reading(pause.watching_paused_since)
    upstream = writing(keys.upstream)
    _key = writing(keys.key)
    probe = writing(receipts.probe)
    repair_due_times = writing(clock_repair.repair)

    # -- keys of projects ---------------------------------------------------------------------

    create_api_key = writing(api_keys.create)
    change_api_key = writing(api_keys.change)
    record_api_key_use = writing(api_keys.record_use, api_keys.conflict_keys_of_use)
    api_key = reading(api_keys.one)
    api_key_grant = reading(api_keys.grant)
    api_key_grant_by_id = reading(api_keys.grant_by_id)
    api_key_grants = reading(api_keys.grants)
    any_api_key = reading(api_keys.any_made)
    any_valid_api_key = reading(api_keys.any_valid)
    api_keys = reading(api_keys.listed)  # the last one: from here on it is this method's name

    # -- projects -----------------------------------------------------------------------------

    _create_project = writing(projects.create)
    _change_project = writing(projects.change)
    project = decrypting(reading(projects.project), AtRest.decrypted_if_found)
    projects = decrypting(reading(projects.listed), AtRest.decrypted_projects)

    async def create_project(self, project: Project, audit: AuditEntry | None = None) -> None:
        """Store a new project."""
        await self._create_project(self._at_rest.encrypted_project(project), audit)

    async def change_project(
        self,
        id_or_name: str,
        change: Callable[[Project], Project],
        now: Instant,
        audit: AuditEntry | None = None,
        *,
        trusted: bool = False,
        seen_by: str | None = None,
        by_operator: bool = True,
    ) -> Project:
        """Change a project in one transaction, and return the result."""
        changing = self._at_rest.changing_project(change)
        changed = await self._change_project(
            id_or_name,
            changing,
            now,
            audit,
            trusted=trusted,
            seen_by=seen_by,
            by_operator=by_operator,
            plain=self._at_rest.decrypted_project,
        )
        return self._at_rest.decrypted_project(changed)

    projects_to_empty = reading(closed_projects.to_empty)
    remove_project_data = in_background(closed_projects.remove)
    # -- secrets at rest ----------------------------------------------------------------------

    _check_keys = writing(secrets_at_rest.check_keys)
    _reencrypt = writing(secrets_at_rest.reencrypt)

    async def key(self, name: str, made: str) -> str:
        """Return our key of this name; `made` becomes the key if there is none yet.

        Raises `UndecryptableError`.
        """
        place = ("keys", name, "value")
        stored = await self._key(name, self._at_rest.encrypt(made, place))
        return self._at_rest.decrypt(stored, place)

    async def check_encryption_keys(self) -> None:
        """Raise `UndecryptableError` if the keyring lacks a key of this database."""
        await self._check_keys(self._at_rest)

    async def reencrypt(self, after: str | None, limit: int) -> ReencryptedBatch:
        """Encrypt the secrets of the next rows with the newest key."""
        if self._at_rest.newest_id is None:
            raise NoEncryptionKeyError
        return await self._reencrypt(after, limit, self._at_rest)

    # -- budgets ------------------------------------------------------------------------------

    budget = reading(budgets.state)
    set_budget = writing(budgets.set_limits)
    raise_budget = writing(budgets.raise_limits)
    report_reached = writing(notices.report_reached)
    due_notices = reading(notices.due)
    next_notice_at = reading(notices.next_at)
    record_notice = writing(notices.record)
    forget_notices = writing(notices.forget)

    # -- endpoints and deliveries -------------------------------------------------------------

    _create_endpoint = writing(endpoint_writes.create)
    _change_endpoint = writing(endpoint_writes.change)
    delete_endpoint = writing(endpoint_writes.delete)
    keep_default_endpoint = writing(endpoint_writes.keep_default)
    endpoint = decrypting(reading(endpoint_reads.endpoint), AtRest.decrypted_endpoint)
    endpoints = decrypting(reading(endpoint_reads.listed), AtRest.decrypted_endpoints)
    endpoints_held_back = decrypting(reading(endpoint_reads.held_back), AtRest.decrypted_endpoints)
    endpoint_counts = reading(endpoint_reads.counts)

    async def create_endpoint(self, endpoint: Endpoint, audit: AuditEntry | None = None) -> None:
        """Store a new endpoint."""
        await self._create_endpoint(self._at_rest.encrypted_endpoint(endpoint), audit)

    async def change_endpoint(
        self,
        endpoint_id: str,
        change: Callable[[Endpoint], Endpoint],
        audit: AuditEntry | None = None,
        *,
        project: str | None = None,
    ) -> Endpoint:
        """Change an endpoint in one transaction, and return the result."""
        changed = await self._change_endpoint(
            endpoint_id,
            self._at_rest.changing(change),
            audit,
            project=project,
            plain=self._at_rest.decrypted_endpoint,
        )
        return self._at_rest.decrypted_endpoint(changed)

    due_deliveries = decrypting(reading(due.due), AtRest.decrypted_due)
    due_delivery = decrypting(reading(due.due_by_id), AtRest.decrypted_due_endpoint)
    ended_meanwhile = reading(due.ended_meanwhile)
    deliveries_waiting = reading(due.waiting)
    rest_endpoints = in_background(due.rest)
    settle = writing(delivery_writes.settle, conflict_keys.of_settlement)

    deliveries = reading(delivery_log.page)
    delivery = reading(delivery_log.delivery)
    attempts = reading(delivery_log.attempts)
    undelivered = reading(delivery_log.undelivered)
    sent_bodies = reading(delivery_log.sent_bodies)
    resend_one = writing(resends.resend_one)
    count_failed = reading(resends.count_failed)
    start_resend = writing(resends.start)
    resend = reading(resends.resend)
    unfinished_resends = reading(resends.unfinished)
    advance_resend = writing(resends.advance)

    # -- the feed -----------------------------------------------------------------------------

    events_after = reading(event_feed.events_after)
    last_position = reading(event_feed.last_position)
    jobs_of_events_after = reading(event_feed.jobs_of_events_after)
    sequences = reading(event_feed.sequences)

    # -- the audit trail ----------------------------------------------------------------------

    audit_entries = reading(audit.page)

    # -- retention ----------------------------------------------------------------------------

    remove_attempts = in_background(retention.attempts)
    remove_jobs = in_background(retention.jobs)
    remove_resends = in_background(retention.resends)
    remove_files = in_background(files.expired)
    files = reading(files.of_project)  # from here on it is this method's name

    async def remove_endpoints(self, position: Position, before: Instant) -> Removal:
        """Remove endpoints without deliveries that are older than that time."""
        unused = partial(retention.unused_endpoints, position, before)
        ids, following = await self._database.read(unused)
        removed = 0
        if ids:
            unlinking = partial(retention.endpoints, ids)
            removed = await self._database.background(unlinking, lock="endpoints")
        return Removal(removed, following)
