"""The four groups of functions that `Hook` had before the gateway, with their former arguments.

Deprecated: `hook.gateway` has the same use cases, with a caller as their first argument. Here the
caller is always the operator.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import asdict
from typing import Any

from reelhook.domain.byte_range import Range
from reelhook.domain.caller import OPERATOR
from reelhook.domain.delivery import Attempt, Delivery, WebhookResponse
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status, VideoRequest
from reelhook.gateway import (
    AccountStats,
    Content,
    CostLine,
    Created,
    DeliveryFilter,
    DeliveryPage,
    EndpointFields,
    EventPage,
    Follower,
    Gateway,
    IdempotencyKey,
    JobFilter,
    JobPage,
    Resend,
    StoredDelivery,
    StoredEvent,
    StoredJob,
    Undelivered,
)


class JobFunctions:
    """`hook.service`; see `NewJobs`, `Jobs`, `Contents` and `Feed`."""

    def __init__(self, gateway: Gateway) -> None:
        self._new_jobs = gateway.new_jobs
        self._jobs = gateway.jobs
        self._contents = gateway.content
        self._feed = gateway.feed

    async def submit(
        self,
        request: VideoRequest,
        webhook_url: str | None = None,
        idempotency: IdempotencyKey | None = None,
        endpoints: Sequence[str] = (),
    ) -> Created:
        """See `NewJobs.submit`."""
        return await self._new_jobs.submit(OPERATOR, request, webhook_url, idempotency, endpoints)

    async def remix(self, job_id: str, prompt: str, webhook_url: str | None = None) -> Created:
        """See `NewJobs.remix`."""
        return await self._new_jobs.remix(OPERATOR, job_id, prompt, webhook_url)

    async def register(
        self,
        provider_job_id: str,
        job_id: str | None = None,
        webhook_url: str | None = None,
        endpoints: Sequence[str] = (),
        account: str | None = None,
    ) -> Created:
        """See `NewJobs.register`."""
        return await self._new_jobs.register(
            OPERATOR, provider_job_id, job_id, webhook_url, endpoints, account
        )

    async def job(self, job_id: str) -> StoredJob:
        """See `Jobs.job`."""
        return await self._jobs.job(OPERATOR, job_id)

    async def queue_position(self, job: Job) -> int | None:
        """See `Jobs.queue_position`."""
        return await self._jobs.queue_position(OPERATOR, job)

    async def jobs(
        self, status: Status | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """See `Jobs.jobs`."""
        return await self._jobs.jobs(OPERATOR, JobFilter(status=status), limit, cursor)

    async def events(
        self, job_ids: Sequence[str], after: Mapping[str, int] | None = None
    ) -> list[StoredEvent]:
        """See `Feed.events`."""
        return await self._feed.events(OPERATOR, job_ids, after)

    async def content(
        self, job_id: str, byte_range: str | None = None
    ) -> AbstractAsyncContextManager[Content]:
        """See `Contents.video` and `FinishedFile.open`."""
        file = await self._contents.video(OPERATOR, job_id)
        return file.open(Range.read(byte_range))

    async def check_now(self, job_id: str) -> StoredJob:
        """See `Jobs.check_now`."""
        return await self._jobs.check_now(OPERATOR, job_id)

    async def cancel(self, job_id: str, *, force: bool = False) -> StoredJob:
        """See `Jobs.cancel`."""
        return await self._jobs.cancel(OPERATOR, job_id, force=force)

    async def update_status(self, job_id: str, status: str, progress: int | None) -> StoredJob:
        """See `Jobs.update_status`."""
        return await self._jobs.update_status(OPERATOR, job_id, status, progress)

    def follow(self, job_ids: Collection[str]) -> AbstractContextManager[Follower]:
        """See `Feed.follow`."""
        return self._feed.follow(OPERATOR, job_ids)

    async def sequences(self, job_ids: Sequence[str]) -> dict[str, int]:
        """See `Feed.sequences`."""
        return await self._feed.sequences(OPERATOR, job_ids)

    @property
    def changed(self) -> asyncio.Event:
        """See `Feed.changed`."""
        return self._feed.changed

    @property
    def stopping(self) -> asyncio.Event:
        """See `Feed.stopping`."""
        return self._feed.stopping

    def stop_waiting(self) -> None:
        """See `Feed.stop`."""
        self._feed.stop()


class EndpointFunctions:
    """`hook.endpoints`; see `Endpoints`."""

    def __init__(self, gateway: Gateway) -> None:
        self._endpoints = gateway.endpoints

    async def register(
        self, url: str, fields: EndpointFields, *, secret: str | None = None, trusted: bool = False
    ) -> Endpoint:
        """See `Endpoints.register`."""
        return await self._endpoints.register(OPERATOR, url, fields, secret=secret, trusted=trusted)

    async def all(self) -> list[Endpoint]:
        """See `Endpoints.all`."""
        return await self._endpoints.all(OPERATOR)

    async def held_back(self) -> list[Endpoint]:
        """See `Endpoints.held_back`."""
        return await self._endpoints.held_back(OPERATOR)

    async def one(self, endpoint_id: str) -> Endpoint:
        """See `Endpoints.one`."""
        return await self._endpoints.one(OPERATOR, endpoint_id)

    async def change(
        self,
        endpoint_id: str,
        fields: EndpointFields,
        *,
        enabled: bool | None = None,
        trusted: bool = False,
    ) -> Endpoint:
        """See `Endpoints.change`."""
        return await self._endpoints.change(
            OPERATOR, endpoint_id, fields, enabled=enabled, trusted=trusted
        )

    async def remove(self, endpoint_id: str) -> None:
        """See `Endpoints.remove`."""
        await self._endpoints.remove(OPERATOR, endpoint_id)

    async def rotate(
        self, endpoint_id: str, secret: str | None = None, overlap_hours: float | None = None
    ) -> Endpoint:
        """See `Endpoints.rotate`."""
        return await self._endpoints.rotate(OPERATOR, endpoint_id, secret, overlap_hours)

    async def test(self, endpoint_id: str) -> WebhookResponse:
        """See `Endpoints.test`."""
        return await self._endpoints.test(OPERATOR, endpoint_id)


class DeliveryFunctions:
    """`hook.deliveries`; see `Deliveries` and `Feed`."""

    def __init__(self, gateway: Gateway) -> None:
        self._deliveries = gateway.deliveries
        self._feed = gateway.feed

    async def page(
        self, wanted: DeliveryFilter, limit: int = 50, cursor: int | None = None
    ) -> DeliveryPage:
        """See `Deliveries.page`."""
        return await self._deliveries.page(OPERATOR, wanted, limit, cursor)

    async def one(self, delivery_id: int) -> tuple[StoredDelivery, list[Undelivered]]:
        """See `Deliveries.one`."""
        return await self._deliveries.one(OPERATOR, delivery_id)

    async def attempts(self, delivery_id: int, limit: int = 100) -> list[Attempt]:
        """See `Deliveries.attempts`."""
        return await self._deliveries.attempts(OPERATOR, delivery_id, limit)

    async def events_after(self, event_id: str | None = None, limit: int = 100) -> EventPage:
        """See `Feed.events_after`."""
        return await self._feed.events_after(OPERATOR, event_id, limit)

    async def resend(self, delivery_id: int, sequence: int | None = None) -> Delivery:
        """See `Deliveries.resend`."""
        return await self._deliveries.resend(OPERATOR, delivery_id, sequence)

    async def resend_failed(self, since: Instant, endpoint_id: str | None = None) -> Resend:
        """See `Deliveries.resend_failed`."""
        return await self._deliveries.resend_failed(OPERATOR, since, endpoint_id)

    async def resend_run(self, resend_id: str) -> Resend:
        """See `Deliveries.resend_run`."""
        return await self._deliveries.resend_run(OPERATOR, resend_id)


class OperationFunctions:
    """`hook.operations`; see `Operations`."""

    def __init__(self, gateway: Gateway) -> None:
        self._operations = gateway.operations
        self._pausing: asyncio.Task[None] | None = None

    async def stats(self) -> dict[str, Any]:
        """Return counts of jobs and deliveries, and the watcher's state, in nested dicts."""
        await self._pausing_done()
        stats = await self._operations.stats(OPERATOR)
        assert stats.watcher is not None  # noqa: S101 - the operator sees the whole installation
        paused_since = stats.watcher.paused_since
        return {
            "jobs": {"total": stats.jobs_total, **stats.jobs},
            "deliveries": {"waiting": stats.deliveries_waiting},
            "endpoints": dict(stats.endpoints),
            "watcher": {"paused": paused_since is not None, **asdict(stats.watcher)},
            "accounts": [_account(account) for account in stats.accounts or ()],
        }

    async def costs(self, since: Instant, until: Instant) -> list[CostLine]:
        """See `Operations.costs`."""
        return await self._operations.costs(OPERATOR, since, until)

    def pause_watching(self) -> Awaitable[None]:
        """Pause, beginning at once: need not be awaited. Needs a running loop.

        See `Operations.pause_watching`.
        """
        return self._in_order(lambda: self._operations.pause_watching(OPERATOR))

    def resume_watching(self) -> Awaitable[None]:
        """Resume, beginning at once: need not be awaited. See `Operations.resume_watching`."""
        return self._in_order(lambda: self._operations.resume_watching(OPERATOR))

    async def check_writable(self) -> None:
        """See `Operations.check_writable`."""
        await self._operations.check_writable(OPERATOR)

    async def watching_paused_since(self) -> Instant | None:
        """See `Operations.watching_paused_since`."""
        await self._pausing_done()
        return await self._operations.watching_paused_since(OPERATOR)

    def _in_order(self, write: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        # Calls that were not awaited take effect in their order.
        before = self._pausing

        async def after_the_one_before() -> None:
            if before is not None:
                await asyncio.wait([before])
            await write()

        self._pausing = asyncio.create_task(after_the_one_before())
        return self._pausing

    async def _pausing_done(self) -> None:
        if self._pausing is not None:
            await asyncio.wait([self._pausing])


def _account(account: AccountStats) -> dict[str, Any]:
    return {
        "id": account.id,
        "provider": account.provider,
        "waiting": account.waiting,
        "in_flight": account.in_flight,
        "jobs_max": account.jobs_max,
        "healthy": account.healthy,
        "error": account.error,
        "stretched_seconds": account.stretched_seconds,
        "reads_wait_until": account.reads_wait_until,
        "creates_wait_until": account.creates_wait_until,
        "refused": account.refused,
        "unread": account.unread,
    }
