"""Writing down what happened to jobs: state, events with their webhook bodies, then the wake-ups.

Every change of a job, whoever found it, takes this way.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from reelhook.core.payloads import PayloadFormat
from reelhook.core.wakeups import Signals
from reelhook.domain.endpoint import shown_url
from reelhook.domain.errors import DATABASE_FAILURES, CommitUnknownError, StoreError
from reelhook.domain.event import Event
from reelhook.domain.job import Job, Status
from reelhook.ports import Acceptance, Change, Lease, Recorder, SubmitStore

log = structlog.get_logger()
Transition = tuple[Job, tuple[Event, ...]]
"""A job's new state and the events that tell it: what the transitions of `Job` return."""


class Recording:
    """Turns transitions into changes, stores them and wakes those who wait for them."""

    def __init__(self, store: Recorder, signals: Signals, payload: PayloadFormat) -> None:
        self._store = store
        self._signals = signals
        self._payload = payload

    async def record(
        self, transitions: Sequence[Transition], lease: Lease | None = None
    ) -> list[Job]:
        """Write all in one transaction; return the jobs that were written, as they are now.

        A job that changed since it was read is passed over: whoever wrote it knew more. One that
        the store refuses keeps none of the others from being written. Raises `StoreError` when
        none could be, and `CommitUnknownError` when it is not known whether any was.
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
        for one in transitions:
            try:
                written += await self._record([one], lease)
            except DATABASE_FAILURES as error:
                log.warning("job.unrecorded", job=one[0].id, error=error.message)
                errors.append(error)
        if len(errors) == len(transitions):
            raise next((one for one in errors if isinstance(one, CommitUnknownError)), errors[0])
        return written

    async def _record(self, transitions: Sequence[Transition], lease: Lease | None) -> list[Job]:
        # Whoever is cut off while the store commits must not keep the events from being sent.
        return await asyncio.shield(self._write_and_tell(transitions, lease))

    async def _write_and_tell(
        self, transitions: Sequence[Transition], lease: Lease | None
    ) -> list[Job]:
        try:
            changes = [self._change(*one) for one in transitions]
            written = set(await self._store.record(changes, lease))
        except CommitUnknownError:
            self._wake(transitions)
            raise
        done = [one for one in transitions if one[0].id in written]
        self._tell(done)
        return [replace(job, version=job.version + 1) for job, _ in done]

    async def accept(
        self,
        store: SubmitStore,
        transition: Transition,
        lease: Lease | None = None,
        sharing: Sequence[str] = (),
    ) -> Acceptance:
        """Write that the provider has the job, unless another job of ours holds it.

        `sharing` are the other accounts of the same server.
        """
        return await asyncio.shield(self._accept_and_tell(store, transition, lease, sharing))

    async def _accept_and_tell(
        self,
        store: SubmitStore,
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
            self._tell([transition])
            self._signals.watch.set()
        return acceptance

    def _change(self, job: Job, events: tuple[Event, ...]) -> Change:
        return Change(job, events, tuple(self._payload.body(job, event) for event in events))

    def _wake(self, transitions: Sequence[Transition]) -> None:
        """Have everybody look: it may be there."""
        self._signals.deliver.tell()
        self._signals.watch.set()
        self._signals.jobs_changed([job.id for job, _ in transitions])

    def _tell(self, transitions: Sequence[Transition]) -> None:
        if any(events for _, events in transitions):
            self._signals.deliver.tell()
        if transitions:
            self._signals.jobs_changed([job.id for job, _ in transitions])
        for job, _ in transitions:
            if job.status is Status.COMPLETED:
                log.info(
                    f"Sora job completed: {job.provider_job_id}",
                    emoji="✅",
                    job=job.id,
                    provider_job=job.provider_job_id,
                )
            elif job.status.terminal:
                log.warning(
                    f"Sora job failed: {job.provider_job_id or job.id}",
                    emoji="❌",
                    job=job.id,
                    provider_job=job.provider_job_id,
                    code=job.code,
                    error=job.error,
                )


def log_registered(job: Job, webhook_url: str | None) -> None:
    """Say, in the inherited words, that a provider's job is watched from now on."""
    log.info(
        f"Registered Sora job: {job.id} -> {job.provider_job_id}",
        emoji="📝",
        job=job.id,
        provider_job=job.provider_job_id,
        adopted=job.adopted,
    )
    if webhook_url is not None:
        log.info(f"   Webhook: {shown_url(webhook_url)}", job=job.id)
