"""Stores a new job with its deliveries and its idempotency key, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reelhook.core.wakeups import Signals
from reelhook.domain.audit import AuditEntry
from reelhook.domain.caller import Caller
from reelhook.domain.errors import CommitUnknownError
from reelhook.domain.job import Job
from reelhook.domain.media import File
from reelhook.domain.over_budget import OverBudgetError
from reelhook.domain.price import Price
from reelhook.domain.request import VideoRequest
from reelhook.ports import (
    ClientTry,
    Clock,
    Created,
    Destination,
    IdempotencyKey,
    JobStore,
    NewJob,
    Provider,
    StoredJob,
)
from reelhook.service.budget_refusals import BudgetRefusals
from reelhook.service.claims import sharing
from reelhook.service.client_calls import create_once_settled
from reelhook.service.destinations import Destinations


class JobCreation:
    """Stores new jobs, and the events of budgets that refuse them."""

    def __init__(
        self,
        store: JobStore,
        providers: Mapping[str, Provider],
        destinations: Destinations,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._store = store
        self._providers = providers
        self._destinations = destinations
        self._signals = signals
        self._refusals = BudgetRefusals(store, signals)
        self._clock = clock

    async def create(
        self,
        caller: Caller,
        job: Job,
        request: VideoRequest,
        own: Destination | None,
        endpoints: Sequence[str],
        idempotency: IdempotencyKey | None = None,
        *,
        audit: AuditEntry | None = None,
        prices: tuple[Price | None, ...] | None = None,
        files: tuple[File, ...] = (),
        client_try: ClientTry | None = None,
    ) -> Created:
        """Store a job, or return the one of an earlier request with this key or client's try.

        `prices` are the estimates of its models, which budgets reserve; None: they reserve nothing.
        Raises `CommitUnknownError` with the job's id, or `BudgetError`.
        """
        new = NewJob(
            job,
            request,
            None if own is None else own.url,
            self._destinations.of(job.project, own, endpoints),
            idempotency,
            audit,
            sees=caller.sees,
            sharing=sharing(self._providers, job.account),
            prices=prices,
            files=files,
            client_try=client_try,
        )
        try:
            created = await create_once_settled(self._store, new, self._clock)
        except CommitUnknownError as error:
            raise error.naming(job_id=job.id) from error
        except OverBudgetError as error:
            await self._refusals.report(error, job.created_at)
            raise
        if created.announced:
            self._signals.notify.publish()
        stored = StoredJob(job, request, new.webhook_url, None)
        return created if created.replayed else replace(created, stored=stored)
