"""reelhook in another Python program: gateway, ASGI app and the first client's functions."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from starlette.types import ASGIApp

from reelhook.domain.caller import OPERATOR
from reelhook.domain.job import Job, Status
from reelhook.domain.labels import Labels
from reelhook.domain.priority import priority_of
from reelhook.doors.compat.embedding import (
    DeliveryFunctions,
    EndpointFunctions,
    JobFunctions,
    OperationFunctions,
)
from reelhook.doors.compat.request import video_request
from reelhook.gateway import Gateway, StoredJob, read_back


class Hook:
    """A running reelhook. Mount `asgi` in your application, or call `gateway`.

    `service`, `endpoints`, `deliveries` and `operations` are deprecated: they are the gateway's use
    cases for the operator, without the caller. Nine functions have the names of the service that
    reelhook replaced.
    """

    def __init__(self, gateway: Gateway, asgi: ASGIApp, default_model: str | None) -> None:
        self.gateway = gateway
        self.asgi = asgi
        self.default_model = default_model
        self.service = JobFunctions(gateway)
        self.endpoints = EndpointFunctions(gateway)
        self.deliveries = DeliveryFunctions(gateway)
        self.operations = OperationFunctions(gateway)

    async def submit(
        self,
        script: str,
        *,
        webhook_url: str | None = None,
        endpoints: Sequence[str] = (),
        external_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        priority: str = "normal",
        callback_secret: str | None = None,
        callback_format: str | None = None,
        **parameters: Any,
    ) -> str:
        """Request a video; return the job's id.

        `parameters` are the fields of `VideoRequest` except its prompt, and `direction` and
        `wallet_address`. The job's events go to `webhook_url` and to the registered `endpoints`;
        if neither is given, to WEBHOOK_URL. `external_id` and `metadata` are your own labels of
        the job, and `priority` is `low`, `normal` or `high`. At `webhook_url`, `callback_secret`
        signs the webhooks, and their bodies are in `callback_format`.
        """
        request = video_request(script, **{"model": self.default_model or "", **parameters})
        created = await self.gateway.new_jobs.submit(
            OPERATOR,
            request,
            webhook_url,
            endpoints=endpoints,
            labels=Labels(external_id, metadata or {}),
            priority=priority_of(priority),
            callback_secret=callback_secret,
            callback_format=callback_format,
        )
        return created.job_id

    # -- the polling service's functions ------------------------------------------------------

    def start_sora_polling(self) -> Awaitable[None]:
        """Poll the providers; this is on from the first start. Need not be awaited."""
        return self.operations.resume_watching()

    def stop_sora_polling(self) -> Awaitable[None]:
        """Stop polling until `start_sora_polling` is called: a restart alone does not resume it.

        Need not be awaited: the change is stored shortly afterwards.
        """
        return self.operations.pause_watching()

    async def register_sora_job(
        self, job_id: str, sora_job_id: str, webhook_url: str | None = None
    ) -> StoredJob:
        """Watch a job that another program created at the provider. A repeated call is safe."""
        created = await self.service.register(sora_job_id, job_id, webhook_url)
        return await read_back(self.service.job(created.job_id), job_id=created.job_id)

    async def force_poll_job(self, job_id: str) -> StoredJob:
        """Read a job from its provider now."""
        return await self.service.check_now(job_id)

    async def get_polling_stats(self) -> dict[str, Any]:
        """Return counts of jobs and deliveries, and the watcher's state."""
        return await self.operations.stats()

    # -- the database's functions -------------------------------------------------------------

    async def register_sora_job_for_polling(
        self, job_id: str, sora_job_id: str, webhook_url: str | None = None
    ) -> StoredJob:
        """Do the same as `register_sora_job`: every stored job is watched."""
        return await self.register_sora_job(job_id, sora_job_id, webhook_url)

    async def update_sora_job_status(
        self, job_id: str, status: str, progress: int | None = None
    ) -> StoredJob:
        """Write a status (queued, processing, completed, failed) that you vouch for.

        Not available over HTTP, where a client could fake the end of a job.
        """
        return await self.service.update_status(job_id, status, progress)

    async def get_pending_sora_jobs(self) -> list[Job]:
        """Return the jobs that have not ended, newest first."""
        pending = []
        for status in Status:
            cursor = None
            while not status.terminal:
                page = await self.service.jobs(status, 500, cursor)
                pending += [stored.job for stored in page.jobs]
                cursor = page.next_cursor
                if cursor is None:
                    break
        return sorted(pending, key=lambda job: job.created_at, reverse=True)

    async def get_sora_polling_stats(self) -> dict[str, int]:
        """Return the number of jobs, in total and for each status."""
        counts: dict[str, int] = (await self.operations.stats())["jobs"]
        return counts
