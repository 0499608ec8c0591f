"""Ports to stored jobs. Every method may raise `StoreError`; writes also `CommitUnknownError`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from reelhook.domain.archive import ArchivedFile
from reelhook.domain.audit import AuditEntry
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.media import File
from reelhook.domain.request import VideoRequest
from reelhook.ports.event_feed import FollowStore
from reelhook.ports.job_records import (
    ANY_BYTES,
    Acceptance,
    Change,
    Created,
    Destination,
    IdempotencyKey,
    JobFilter,
    JobPage,
    ListedJob,
    NewJob,
    StoredJob,
)
from reelhook.ports.leases import Lease
from reelhook.ports.notices import RefusalReports
from reelhook.ports.webhooks import StoredEvent


class JobReads(Protocol):
    """Reads single jobs. With a `project`, the jobs of others don't exist for the read."""

    async def job(self, job_id: str, project: str | None = None) -> StoredJob:
        """Return a job. Raises `JobNotFoundError`."""
        ...

    async def job_of_provider(
        self, accounts: Sequence[str], provider_job_id: str
    ) -> StoredJob | None:
        """Return the job of one of these accounts with this provider job id."""
        ...


class JobWrites(Protocol):
    """Stores new jobs."""

    async def replay_of_key(self, key: IdempotencyKey) -> Created | None:
        """Return the job that this key created; None if it created none.

        Raises `IdempotencyKeyReusedError`, or `JobDeletedError`.
        """
        ...

    async def create(self, new: NewJob) -> Created:
        """Store a job with its deliveries and key in one transaction.

        A job that adopts a video settles the unresolved submission it comes from. Raises
        `IdempotencyKeyReusedError`, `JobIdTakenError`, `JobConflictError` if that submission has
        already been settled, or `InvalidRequestError` for an endpoint that does not exist.
        Raises `UnknownProviderJobError` if a project that the creator does not see has the
        provider's job.
        """
        ...


class JobStore(JobReads, JobWrites, FollowStore, RefusalReports, Protocol):
    """Stores and reads jobs and their events."""

    async def jobs(self, wanted: JobFilter, limit: int, cursor: str | None) -> JobPage:
        """Return a page of jobs. Raises `InvalidRequestError` for a bad cursor."""
        ...

    async def events(
        self, job_ids: Sequence[str], after: Mapping[str, int], project: str | None = None
    ) -> list[StoredEvent]:
        """Return these jobs' events after the given sequences, in order."""
        ...

    async def jobs_ahead(self, job: Job) -> int:
        """Return the number of accepted jobs of the same account that come before this one."""
        ...

    async def delete_job(
        self,
        job_id: str,
        now: Instant,
        audit: AuditEntry | None = None,
        *,
        project: str | None = None,
    ) -> bool:
        """Delete a job that has ended. Return False if it has not, or if it is in doubt.

        No read returns it any more, but its id stays taken and its costs still count. Raises
        `JobNotFoundError`.
        """
        ...

    async def record_check(self, job_id: str, now: Instant, *, project: str | None = None) -> None:
        """Store the time at which a job was last read by itself."""
        ...


class InDoubtStore(JobReads, JobWrites, Protocol):
    """Unresolved submissions: jobs that a provider may or may not have accepted."""

    async def jobs_in_doubt(
        self, limit: int, cursor: str | None, project: str | None = None
    ) -> JobPage:
        """Return a page of unresolved jobs, oldest first: those that have ended, then the others.

        Raises `InvalidRequestError` for a bad cursor.
        """
        ...

    async def close_doubt(
        self,
        job_id: str,
        now: Instant,
        audit: AuditEntry | None = None,
        *,
        project: str | None = None,
    ) -> bool:
        """Record that a person has settled the doubt. Return False if there was none to settle."""
        ...

    async def destinations(self, job_id: str, project: str | None = None) -> list[Destination]:
        """Return the destinations of a job's events."""
        ...


class Recorder(Protocol):
    """Records changes of jobs."""

    async def record(self, changes: Sequence[Change], lease: Lease | None) -> list[str]:
        """Write states, events and cursors in one transaction. Return the ids that were written.

        A job is skipped if it has changed since it was read, has ended, or its lease was lost
        (None: no lease is required).
        """
        ...

    async def record_after_end(
        self, change: Change, file: ArchivedFile | None = None, lease: Lease | None = None
    ) -> bool:
        """Write a change of a job that has ended, with its events, in one transaction.

        Only the facts that may change after the end are written. `file` is the new state of the
        job's file. Return False, and write nothing, if the job has changed since it was read, was
        deleted or has not ended, if the file no longer waits, or if the lease was lost.
        """
        ...


class AcceptanceStore(Protocol):
    """Records which jobs providers have accepted."""

    async def accept(
        self, change: Change, lease: Lease | None, sharing: Sequence[str] = ()
    ) -> Acceptance:
        """Record that the provider has the job. A create's own response dislodges an adoption.

        `sharing` has the other accounts of the same server, whose jobs also get their ids from it.
        """
        ...


class CallbackStore(JobReads, AcceptanceStore, Protocol):
    """Finds the jobs that webhooks of providers are about."""


class RequestFileReads(Protocol):
    """Reads the files of requests."""

    async def files(self, project: str, hashes: Sequence[str]) -> dict[str, File]:
        """Return those of these files of a project that exist, by their hashes."""
        ...


class PrepareStore(JobReads, Protocol):
    """Stores the files of waiting jobs, before they are created at their provider."""

    async def jobs_to_prepare(self, account: str, since: Instant, limit: int) -> list[str]:
        """Return the ids of jobs whose files are to be fetched, if they wait since then or later.

        They are in the order of waiting.
        """
        ...

    async def keep_files(self, project: str, files: Sequence[File], now: Instant) -> None:
        """Store files, except those that the project has. Nothing refers to them yet."""
        ...

    async def remove_unused_files(self, project: str, hashes: Sequence[str], now: Instant) -> int:
        """Remove those of these files that no request refers to, and no upload keeps.

        Return their number.
        """
        ...

    async def record_prepared(self, job: Job, request: VideoRequest, lease: Lease | None) -> bool:
        """Write the media of a waiting job's request, which may be submitted from now on.

        Return False if it has changed, if one of its files was removed, or the lease was lost.
        """
        ...


class SubmitStore(AcceptanceStore, RequestFileReads, Protocol):
    """Reads the jobs that wait to be created at a provider."""

    async def jobs_to_submit(
        self, account: str, now: Instant, limit: int, bytes_max: int = ANY_BYTES
    ) -> tuple[list[StoredJob], Instant | None]:
        """Return accepted jobs that are due, in turn, and the time when the next one is due.

        See `domain.turns` for the order. Media and options of all but the last one total at most
        `bytes_max`; files are counted, but not read. If there are `limit` jobs, more may be due,
        and there is no such time.
        """
        ...

    async def jobs_waiting_elsewhere(
        self,
        account: str,
        others: Sequence[str],
        idle_since: Instant,
        limit: int,
        bytes_max: int = ANY_BYTES,
    ) -> list[StoredJob]:
        """Return accepted jobs of other accounts that have been idle since then.

        They come in the order of the turns at `account`, which may take them.
        """
        ...

    async def jobs_with_fallbacks(
        self, account: str, waiting_since: Instant, limit: int
    ) -> list[ListedJob]:
        """Return accepted jobs that have fallbacks and have waited for their model since then.

        Each project's jobs come in their order, since that is the index's.
        """
        ...

    async def in_flight(self, account: str) -> int:
        """Return the number of jobs that the account's provider has, or may have."""
        ...

    async def jobs_now(self, job_ids: Sequence[str]) -> list[Job]:
        """Return the current state of these jobs."""
        ...


class WatchStore(Protocol):
    """Reads pending jobs: those that a provider is working on."""

    async def jobs_to_watch(self, account: str) -> list[Job]:
        """Return an account's pending jobs, newest first."""
        ...

    async def versions_to_watch(self, account: str, accepted_since: Instant = 0) -> str:
        """Return `id:version` of each pending job, joined by commas, newest first.

        Only of jobs that were accepted since that time.
        One text, because creating the tuples of 100,000 rows takes noticeable time.
        """
        ...

    async def watched_jobs(self, job_ids: Sequence[str]) -> list[Job]:
        """Return the jobs among these that are pending."""
        ...

    async def record_round(self, account: str, now: Instant, lease: Lease | None = None) -> None:
        """Store the time at which the account's last round ended, unless the lease was lost."""
        ...


class SweepStore(Protocol):
    """Finds jobs that have waited too long, and forgets old idempotency keys."""

    async def jobs_unsubmitted_before(self, created_before: Instant) -> list[Job]:
        """Return jobs created before that time that no provider has accepted."""
        ...

    async def jobs_unfinished_before(self, accepted_before: Instant) -> list[Job]:
        """Return at most 1,000 unfinished jobs that providers accepted before that time."""
        ...

    async def forget_idempotency_keys(self, created_before: Instant) -> int:
        """Delete keys created before that time. Return how many."""
        ...
