"""The use cases that create jobs: a new video, a remix, and a job that others created."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from reelhook.core.recording import Recording
from reelhook.core.wakeups import Signals
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.catalog import Catalog
from reelhook.domain.client_call import ClientCall
from reelhook.domain.conflicts import AlreadyWatchedError
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.ids import new_id
from reelhook.domain.job import Job, Status
from reelhook.domain.labels import NO_LABELS, Labels, check_labels
from reelhook.domain.pricing import estimates
from reelhook.domain.priority import Priority
from reelhook.domain.request import VideoRequest, check_ids, check_request
from reelhook.domain.request_media import is_unprepared
from reelhook.ports import (
    Clock,
    Created,
    IdempotencyKey,
    JobStore,
    Provider,
)
from reelhook.service.claims import check_claim
from reelhook.service.client_calls import ClientCalls
from reelhook.service.destinations import Destinations
from reelhook.service.job_creation import JobCreation
from reelhook.service.model_advice import advising
from reelhook.service.providers import lacking_field
from reelhook.service.remixes import remix_of
from reelhook.service.request_files import RequestFiles


class NewJobs:
    """Creates jobs in one store, for the providers' accounts."""

    def __init__(
        self,
        store: JobStore,
        providers: Mapping[str, Provider],
        catalog: Catalog,
        recording: Recording,
        signals: Signals,
        client_calls: ClientCalls,
        *,
        files: RequestFiles,
        fetches_media: bool,
        destinations: Destinations,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._providers = providers
        self._catalog = catalog
        self._recording = recording
        self._signals = signals
        self._client_calls = client_calls
        self._files = files
        self._fetches_media = fetches_media
        self._destinations = destinations
        self._creation = JobCreation(store, providers, destinations, signals, clock)
        self._clock = clock
        self._random = random

    async def submit(
        self,
        caller: Caller,
        request: VideoRequest,
        webhook_url: str | None = None,
        idempotency: IdempotencyKey | None = None,
        endpoints: Sequence[str] = (),
        *,
        labels: Labels = NO_LABELS,
        priority: Priority = Priority.NORMAL,
        callback_secret: str | None = None,
        callback_format: str | None = None,
        call: ClientCall | None = None,
        account: str | None = None,
        priced: bool = True,
    ) -> Created:
        """Store a new job and have it created at the provider. Returns before that happens.

        The same `idempotency` key gets the same job; without a key, so do the tries of one `call`.

        Its events go to `webhook_url` and to the registered `endpoints`; if neither is given, to
        the default endpoint. At `webhook_url`, `callback_secret` signs them, and their bodies are
        in `callback_format`. If `account` is given, no other may create the job. `priced` False:
        its price is not known. Raises `InvalidRequestError` if an endpoint does not exist, if the
        model or one of its fallbacks can't satisfy the request, or if the project may not have jobs
        of this priority. Raises `ModelNotAllowedError` if the caller may not use one of the models,
        or `BudgetError` if a budget has no room.
        """
        caller.require(Scope.SUBMIT)
        check_request(request)
        check_labels(labels)
        own = self._destinations.own(caller.project, webhook_url, callback_secret, callback_format)
        with advising(caller, self._catalog, request):
            choice, *_ = routes = self._catalog.routes(request, account)
            if lacking := lacking_field(self._providers, routes, request):
                if replay := await self.replay(caller, idempotency, call):
                    return replay  # it was accepted before the server was known
                raise lacking
        for route in routes:
            caller.check_model(route.display_name)
        try:
            request = replace(request, model=choice.model)
            request, files = await self._files.placed(caller, request, routes)
        except InvalidRequestError:
            if replay := await self.replay(caller, idempotency, call):
                return replay  # it was accepted while its files were here
            raise
        prices = tuple(estimates(routes, request)) if priced else (None,) * len(routes)
        now = self._clock.now()
        unprepared = is_unprepared(request, fetches=self._fetches_media)
        job = Job(
            id=new_id("job", now, self._random),
            account=choice.pick(self._random).id,
            status=Status.ACCEPTED,
            created_at=now,
            updated_at=now,
            submit_due_at=now,
            provider=choice.provider,
            model=choice.model,
            pinned=choice.pinned,
            project=caller.project,
            key_id=caller.key_id,
            estimated_amount=None if prices[0] is None else prices[0].amount,
            estimated_unit=None if prices[0] is None else prices[0].unit,
            priority=int(priority),
            external_id=labels.external_id,
            metadata=labels.metadata_json,
            unprepared_since=now if unprepared else None,
        )
        try:
            key = idempotency and idempotency.of(caller)
            client_try = None if call is None else self._client_calls.tried(caller, call)
            return await self._creation.create(
                caller,
                job,
                request,
                own,
                endpoints,
                key,
                prices=prices,
                client_try=client_try,
                files=files,
            )
        finally:
            self._signals.submit.publish()  # it may be stored even after an error

    async def remix(
        self,
        caller: Caller,
        job_id: str,
        prompt: str,
        webhook_url: str | None = None,
        idempotency: IdempotencyKey | None = None,
        endpoints: Sequence[str] = (),
        *,
        labels: Labels = NO_LABELS,
        priority: Priority = Priority.NORMAL,
        callback_secret: str | None = None,
        callback_format: str | None = None,
        call: ClientCall | None = None,
    ) -> Created:
        """Store a new job that changes the video of a completed one by a new prompt; see `submit`.

        Its provider gets a paid create, like any other. Raises `JobNotFoundError`, or
        `InvalidRequestError` if the video is not completed or its provider has no remix.
        """
        caller.require(Scope.SUBMIT)
        if (replay := await self.replay(caller, idempotency, call)) is not None:
            return replay  # the video may be gone by now
        remix = await remix_of(self._store, self._providers, caller, job_id, prompt)
        return await self.submit(
            caller,
            remix.request,
            webhook_url,
            idempotency,
            endpoints,
            labels=labels,
            priority=priority,
            callback_secret=callback_secret,
            callback_format=callback_format,
            call=call,
            account=remix.account,
            priced=remix.priced,
        )

    async def replay(
        self, caller: Caller, idempotency: IdempotencyKey | None, call: ClientCall | None
    ) -> Created | None:
        """Return the job of an earlier request with this key; without a key, of an earlier try.

        None if there is none. Creates nothing.
        """
        caller.require(Scope.SUBMIT)
        if idempotency is not None:
            return await self._store.replay_of_key(idempotency.of(caller))
        return None if call is None else await self._client_calls.replay(caller, call)

    async def register(
        self,
        caller: Caller,
        provider_job_id: str,
        job_id: str | None = None,
        webhook_url: str | None = None,
        endpoints: Sequence[str] = (),
        account: str | None = None,
        *,
        labels: Labels = NO_LABELS,
    ) -> Created:
        """Watch a job that was created at the provider by other means.

        A second call returns the same job. `account` None: the default provider's first account.
        Raises `JobIdTakenError` if the id, or the provider's job under another id, is taken. Raises
        `InvalidRequestError` for a malformed id or an unknown account. If the caller does not see
        all projects, the provider is read first: raises `UnknownProviderJobError`, or
        `ProviderError`.
        """
        caller.require(Scope.OPERATE)
        check_ids(provider_job_id, job_id)
        check_labels(labels)
        where = self._catalog.account(account)
        provider_job_id = self._providers[where.id].id_of(provider_job_id, "")
        if caller.sees is not None:
            await check_claim(self._store, self._providers, caller, where.id, provider_job_id)
        now = self._clock.now()
        job = Job(
            id=job_id or new_id("job", now, self._random),
            account=where.id,
            provider=where.provider,
            status=Status.ACCEPTED,
            created_at=now,
            updated_at=now,
            project=caller.project,
            key_id=caller.key_id,
            external_id=labels.external_id,
            metadata=labels.metadata_json,
        ).accept(provider_job_id, now)
        request = VideoRequest(prompt="")
        try:
            created = await self._creation.create(
                caller,
                job,
                request,
                self._destinations.own(job.project, webhook_url, None, None),
                endpoints,
                audit=self._registration(caller, job),
            )
        finally:
            self._signals.watch.publish()
        if created.replayed and job_id not in {None, created.job_id}:
            raise AlreadyWatchedError(provider_job_id, created.job_id)
        if not created.replayed:
            self._recording.created(job, webhook_url)
        return created

    def _registration(self, caller: Caller, job: Job) -> AuditEntry:
        entry = AuditEntry.by(caller, self._clock.now(), Action.JOB_REGISTERED, job.id, job.project)
        registered = {"account": job.account, "provider_job_id": job.provider_job_id}
        return entry.changing(None, registered)
