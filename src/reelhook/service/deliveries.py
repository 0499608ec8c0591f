"""The use cases for deliveries: read what was and was not delivered, and send it again."""

from dataclasses import replace
from random import Random

from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.delivery import Attempt, Delivery
from reelhook.domain.errors import CommitUnknownError, InvalidRequestError
from reelhook.domain.event import Instant, iso
from reelhook.domain.ids import new_id
from reelhook.ports import (
    Clock,
    DeliveryFilter,
    DeliveryPage,
    FailedEvents,
    Resend,
    StoredDelivery,
    Undelivered,
)
from reelhook.service.sent_webhooks import SentAttempt, SentStore, SentWebhooks


class Deliveries:
    """The record of deliveries, over one store."""

    def __init__(
        self, store: SentStore, signals: Signals, signing: Signing, *, clock: Clock, random: Random
    ) -> None:
        self._store = store
        self._sent = SentWebhooks(store, signing)
        self._signals = signals
        self._clock = clock
        self._random = random

    async def page(
        self, caller: Caller, wanted: DeliveryFilter, limit: int = 50, cursor: int | None = None
    ) -> DeliveryPage:
        """Return a page of deliveries, newest first."""
        caller.require(Scope.READ)
        if caller.sees is not None:
            wanted = replace(wanted, project=caller.sees)
        return await self._store.deliveries(wanted, limit, cursor)

    async def one(
        self, caller: Caller, delivery_id: int
    ) -> tuple[StoredDelivery, list[Undelivered]]:
        """Return a delivery and the events that never arrived. Raises `DeliveryNotFoundError`."""
        caller.require(Scope.READ)
        stored = await self._store.delivery(delivery_id, project=caller.sees)
        return stored, await self._store.undelivered(delivery_id)

    async def attempts(self, caller: Caller, delivery_id: int, limit: int = 100) -> list[Attempt]:
        """Return a delivery's attempts and those of its resends, newest first.

        Raises `DeliveryNotFoundError`.
        """
        caller.require(Scope.READ)
        await self._store.delivery(delivery_id, project=caller.sees)
        return await self._store.attempts(delivery_id, limit)

    async def sent(self, caller: Caller, delivery_id: int) -> list[SentAttempt]:
        """Return a delivery's newest attempts with their requests, newest first.

        Raises `DeliveryNotFoundError`.
        """
        return await self._sent.of_delivery(caller, delivery_id)

    async def resend(
        self, caller: Caller, delivery_id: int, sequence: int | None = None
    ) -> Delivery:
        """Send one event again (None: the job's newest), with the same `webhook-id`.

        The resend is a separate delivery, outside the order. Raises `DeliveryNotFoundError`,
        `EndpointNotFoundError` if its endpoint was deleted, or `InvalidRequestError` if the event
        does not exist.
        """
        caller.require(Scope.OPERATE)
        now = self._clock.now()
        entry = AuditEntry.by(caller, now, Action.DELIVERY_RESENT, str(delivery_id), caller.sees)
        try:
            return await self._store.resend_one(
                delivery_id, sequence, now, entry, project=caller.sees
            )
        finally:
            self._signals.deliver.publish()

    async def count_failed(self, caller: Caller, since: Instant, endpoint_id: str) -> FailedEvents:
        """Count the events that `resend_failed` would send to an endpoint again."""
        caller.require(Scope.READ)
        return await self._store.count_failed(
            endpoint_id, since, self._clock.now(), project=caller.sees
        )

    async def resend_failed(
        self, caller: Caller, since: Instant, endpoint_id: str | None = None
    ) -> Resend:
        """Send again, once each, all events whose last attempt has failed since `since`.

        Returns at once. `resend_run` returns the progress (`resent`). A restart does not stop it.
        """
        caller.require(Scope.OPERATE)
        now = self._clock.now()
        if since > now:
            raise InvalidRequestError("since", "since must be a time in the past")
        resend = Resend(
            new_id("resend", now, self._random), since, now, endpoint_id, project=caller.sees
        )
        entry = AuditEntry.by(caller, now, Action.DELIVERIES_RESENT, resend.id, caller.sees)
        period = {"since": iso(since), "endpoint_id": endpoint_id}
        try:
            await self._store.start_resend(resend, entry.changing(None, period))
        except CommitUnknownError as error:
            raise error.naming(resend_id=resend.id) from error
        finally:
            self._signals.resend.publish()
        return resend

    async def resend_run(self, caller: Caller, resend_id: str) -> Resend:
        """Return the progress of a `resend_failed`. Raises `ResendNotFoundError`."""
        caller.require(Scope.READ)
        return await self._store.resend(resend_id, project=caller.sees)
