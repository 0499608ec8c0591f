"""Records changes of jobs: state, events with their webhook bodies, then the wake-ups.

All changes of jobs are recorded here, wherever they come from.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog

from reelhook.core.facts import Emit, JobCreated, JobEnded
from reelhook.core.payloads import Formats
from reelhook.core.wakeups import Signals
from reelhook.domain.archive import ArchivedFile
from reelhook.domain.audit import AuditEntry
from reelhook.domain.errors import DATABASE_FAILURES, CommitUnknownError, StoreError
from reelhook.domain.event import Event
from reelhook.domain.job import Job, Status
from reelhook.domain.reservation import Bill, bill_of
from reelhook.ports import Acceptance, AcceptanceStore, Change, Lease, Recorder

log = structlog.get_logger()
Transition = tuple[Job, tuple[Event, ...]]
"""A job's new state and the events that report it, as the transitions of `Job` return them.

A `Change` is a transition whose events have been rendered as webhook bodies.
"""


class Recording:
    """Renders transitions, stores them, and wakes the loops and readers that wait for them.

    `bill` returns the bill of a job that has ended.
    """

    def __init__(
        self,
        store: Recorder,
        signals: Signals,
        formats: Formats,
        emit: Emit,
        bill: Callable[[Job], Bill] = bill_of,
    ) -> None:
        self._store = store
        self._signals = signals
        self._formats = formats
        self._emit = emit
        self._bill = bill

    async def record_one(self, transition: Transition, audit: AuditEntry) -> list[Job]:
        """Write a transition that a caller asked for, with its entry of the audit trail.

        Returns and raises like `record`.
        """
        return await asyncio.shield(self._write_and_notify([transition], None, audit))

    async def record(
        self, transitions: Sequence[Transition], lease: Lease | None = None
    ) -> list[Job]:
        """Write all transitions in one transaction. Return the jobs that were written, as stored.

        A job that has changed since it was read is skipped, because its last writer knew more. A
        job that the store refuses does not prevent the others from being written. Raises
        `StoreError` if none could be written, and `CommitUnknownError` if some may have been.
        """
        if not transitions:
            return []
        try:
            return await self._record(transitions, lease)
        except StoreError:
            if len(transitions) == 1:
                raise
        return await self._record_singly(transitions, lease)

    async def _record_singly(
        self, transitions: Sequence[Transition], lease: Lease | None
    ) -> list[Job]:
        written: list[Job] = []
        errors: list[StoreError | CommitUnknownError] = []
        for transition in transitions:
            try:
                written += await self._record([transition], lease)
            except DATABASE_FAILURES as error:
                log.warning("job.unrecorded", job=transition[0].id, error=error.message)
                errors.append(error)
        if len(errors) == len(transitions):
            unknown = (error for error in errors if isinstance(error, CommitUnknownError))
            raise next(unknown, errors[0])
        return written

    async def _record(self, transitions: Sequence[Transition], lease: Lease | None) -> list[Job]:
        # If the caller is canceled during the commit, the events must still be sent.
        return await asyncio.shield(self._write_and_notify(transitions, lease))

    async def _write_and_notify(
        self,
        transitions: Sequence[Transition],
        lease: Lease | None,
        audit: AuditEntry | None = None,
    ) -> list[Job]:
        if any(events for _, events in transitions):
            self._signals.webhook_traffic.note()
        try:
            changes = [self._change(*transition, audit) for transition in transitions]
            written = set(await self._store.record(changes, lease))
        except CommitUnknownError:
            self._wake(transitions)
            raise
        done = [transition for transition in transitions if transition[0].id in written]
        self._notify(done)
        return [replace(job, version=job.version + 1) for job, _ in done]

    async def record_after_end(
        self,
        transition: Transition,
        file: ArchivedFile | None = None,
        lease: Lease | None = None,
    ) -> bool:
        """Write a transition of a job that has ended, and the new state of its file.

        Return False if nothing was written; see `Recorder.record_after_end`.
        """
        return await asyncio.shield(self._write_after_end(transition, file, lease))

    async def _write_after_end(
        self, transition: Transition, file: ArchivedFile | None, lease: Lease | None
    ) -> bool:
        try:
            written = await self._store.record_after_end(self._change(*transition), file, lease)
        except CommitUnknownError:
            self._wake([transition])
            raise
        if written:
            self._wake([transition])
            self._signals.archive.publish()
        return written

    async def accept(
        self,
        store: AcceptanceStore,
        transition: Transition,
        lease: Lease | None = None,
        sharing: Sequence[str] = (),
    ) -> Acceptance:
        """Record that the provider has the job, unless another of our jobs already has that id.

        `sharing` has the other accounts of the same server.
        """
        return await asyncio.shield(self._accept_and_notify(store, transition, lease, sharing))

    async def _accept_and_notify(
        self,
        store: AcceptanceStore,
        transition: Transition,
        lease: Lease | None,
        sharing: Sequence[str],
    ) -> Acceptance:
        try:
            acceptance = await store.accept(self._change(*transition), lease, sharing)
        except CommitUnknownError:
            self._wake([transition])
            raise
        if acceptance is Acceptance.RECORDED:
            self._notify([transition])
            self._signals.watch.set()
        return acceptance

    def created(self, job: Job, webhook_url: str | None) -> None:
        """Report that a provider has the job and that it is watched from now on."""
        self._emit(JobCreated(job, webhook_url))

    def _change(
        self, job: Job, events: tuple[Event, ...], audit: AuditEntry | None = None
    ) -> Change:
        bodies = tuple(self._formats.default.body(job, event) for event in events)
        bill = self._bill(job) if job.status.terminal else None
        return Change(job, events, bodies, audit, bill, partial(self._formats.body, job))

    def _wake(self, transitions: Sequence[Transition]) -> None:
        """Wake everyone: the transitions may have been written."""
        self._signals.deliver.publish()
        self._signals.watch.set()
        self._signals.jobs_changed([job.id for job, _ in transitions])

    def _notify(self, transitions: Sequence[Transition]) -> None:
        """Wake all that wait for these changes, and report the jobs that ended."""
        if any(events for _, events in transitions):
            self._signals.deliver.publish()
        if transitions:
            self._signals.jobs_changed([job.id for job, _ in transitions])
        if any(job.status is Status.COMPLETED for job, _ in transitions):
            self._signals.archive.publish()
        for job, _ in transitions:
            if job.status.terminal:
                self._emit(JobEnded(job))
