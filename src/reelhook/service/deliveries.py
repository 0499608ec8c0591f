"""The use cases about deliveries: what was sent, what was not, and sending it anew."""

from random import Random

from reelhook.core.wakeups import Signals
from reelhook.domain.delivery import Attempt, Delivery
from reelhook.domain.errors import CommitUnknownError, InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.ids import new_id
from reelhook.ports import (
    Clock,
    DeliveryFilter,
    DeliveryPage,
    EventPage,
    RepairStore,
    Resend,
    StoredDelivery,
    Undelivered,
)


class Deliveries:
    """The record of what was delivered, over one store."""

    def __init__(
        self, store: RepairStore, signals: Signals, *, clock: Clock, random: Random
    ) -> None:
        self._store = store
        self._signals = signals
        self._clock = clock
        self._random = random

    async def page(
        self, wanted: DeliveryFilter, limit: int = 50, cursor: int | None = None
    ) -> DeliveryPage:
        """Return a page of deliveries, newest first."""
        return await self._store.deliveries(wanted, limit, cursor)

    async def one(self, delivery_id: int) -> tuple[StoredDelivery, list[Undelivered]]:
        """Return a delivery and the events that never arrived. Raises `DeliveryNotFoundError`."""
        stored = await self._store.delivery(delivery_id)
        return stored, await self._store.undelivered(delivery_id)

    async def attempts(self, delivery_id: int, limit: int = 100) -> list[Attempt]:
        """Return a delivery's attempts and those of its resends, newest first.

        Raises `DeliveryNotFoundError`.
        """
        await self._store.delivery(delivery_id)
        return await self._store.attempts(delivery_id, limit)

    async def events_after(self, event_id: str | None = None, limit: int = 100) -> EventPage:
        """Return the events of all jobs behind one, as they were written.

        Raises `InvalidRequestError` for what is no event's id.
        """
        return await self._store.events_after(event_id, limit)

    async def resend(self, delivery_id: int, sequence: int | None = None) -> Delivery:
        """Send one event anew (None: the job's newest), with the same `webhook-id`.

        It is a delivery of its own, outside the order. Raises `DeliveryNotFoundError`,
        `EndpointNotFoundError` when its endpoint was deleted, `InvalidRequestError` when there is
        no such event.
        """
        try:
            return await self._store.resend_one(delivery_id, sequence, self._clock.now())
        finally:
            self._signals.deliver.tell()

    async def resend_failed(self, since: Instant, endpoint_id: str | None = None) -> Resend:
        """Send anew, each once, all events whose last attempt failed since that moment.

        Returns at once; `resent` of `resend_run` tells how far it is. It outlives a restart.
        """
        now = self._clock.now()
        if since > now:
            raise InvalidRequestError("since", "since must be a moment in the past")
        resend = Resend(new_id("resend", now, self._random), since, now, endpoint_id)
        try:
            await self._store.start_resend(resend)
        except CommitUnknownError as error:
            raise error.naming(resend_id=resend.id) from error
        finally:
            self._signals.resend.tell()
        return resend

    async def resend_run(self, resend_id: str) -> Resend:
        """Return how far a `resend_failed` is. Raises `ResendNotFoundError`."""
        return await self._store.resend(resend_id)
