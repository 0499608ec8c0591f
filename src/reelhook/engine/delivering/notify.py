"""Notify: sends events of no job, each by a delivery of its own at every endpoint that asks."""

import asyncio
from random import Random

import structlog

from reelhook.core.payloads import DefaultFormat
from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.delivery import ATTEMPT_SECONDS, WebhookResponse
from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.domain.schedule import RetrySchedule
from reelhook.engine.runner import RunningTasks
from reelhook.ports import Clock, DueNotice, Lease, NoticeStore, Sender

log = structlog.get_logger()
BATCH = 20
HELD_BACK_MILLISECONDS = 60_000
"""The time after which an endpoint that is held back is looked at again."""
KEPT_MILLISECONDS = 62 * DAY_MILLISECONDS
"""Two months: longer than any period that a notice reports."""


class Notify:
    """Sends notices. They are few, and neither wait for deliveries of jobs nor delay them."""

    name = "notify"

    def __init__(
        self,
        store: NoticeStore,
        sender: Sender,
        signing: Signing,
        payload: DefaultFormat,
        signals: Signals,
        schedule: RetrySchedule,
        *,
        clock: Clock,
        random: Random,
        lease: Lease | None = None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._signing = signing
        self._payload = payload
        self._schedule = schedule
        self._clock = clock
        self._random = random
        self._lease = lease
        self.signal = signals.notify
        self.tasks = RunningTasks(signals.notify)

    async def tick(self) -> float | None:
        """Send what is due; see `Loop`."""
        due = await self._store.due_notices(self._clock.now(), BATCH)
        await asyncio.gather(*map(self._send, due))
        if due:
            await self._store.forget_notices(self._clock.now() - KEPT_MILLISECONDS)
        following = await self._store.next_notice_at()
        return None if following is None else max(0.0, (following - self._clock.now()) / 1000)

    async def _send(self, due: DueNotice) -> None:
        now = self._clock.now()
        if due.endpoint.held_back:
            later = now + HELD_BACK_MILLISECONDS
            await self._store.record_notice(due, due.attempts, later, self._lease)
            return
        request = self._signing.request(
            due.endpoint,
            self._payload.notice_body(due.notice),
            message_id=due.notice.id,
            now=now,
            timeout_seconds=ATTEMPT_SECONDS,
        )
        response = await self._sender.send(request)
        attempts = due.attempts if response.unsent else due.attempts + 1
        due_at = self._next_at(attempts, response)
        log.info(
            "notice.attempted",
            notice=due.notice.id,
            name=due.notice.name.value,
            endpoint=due.endpoint.id,
            status=response.status,
            attempts=attempts,
        )
        await self._store.record_notice(due, attempts, due_at, self._lease)

    def _next_at(self, attempts: int, response: WebhookResponse) -> Instant | None:
        """Return the time of the next attempt; None: no more are made."""
        now = self._clock.now()
        if response.succeeded or response.gone:
            return None
        if response.unsent:
            return now + HELD_BACK_MILLISECONDS
        wait = self._schedule.delay_after(
            attempts,
            progress=False,
            retry_after_seconds=response.retry_after_seconds,
            random=self._random,
        )
        return None if wait is None else now + round(wait * 1000)
