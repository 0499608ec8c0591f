"""Deliveries: list, read and resend them; and the feed of all events."""

from typing import Annotated

from fastapi import APIRouter, Query

from reelhook.domain.caller import Scope
from reelhook.doors.context import ContextOf
from reelhook.doors.fields import Text, instant
from reelhook.doors.native.delivery_schemas import (
    DELIVERY_ID_MAX,
    AttemptsResponse,
    DeliveriesResponse,
    FeedResponse,
    OneDeliveryResponse,
    ResendBody,
    ResendFailedBody,
    ResendResponse,
    State,
    attempt_response,
    delivery_response,
    event_response,
    one_delivery_response,
    resend_response,
)
from reelhook.doors.policy import KeyRoute, needs
from reelhook.gateway import DeliveryFilter, read_back

router = APIRouter(tags=["deliveries"], route_class=KeyRoute)


@router.get("/api/events", summary="Read the events of all jobs, in order")
@needs(Scope.READ)
async def feed(
    context: ContextOf,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> FeedResponse:
    """Return the events after the one with this id. A receiver that missed some catches up here."""
    page = await context.gateway.feed.events_after(context.caller, after, limit)
    return FeedResponse(
        events=[event_response(event) for event in page.events],
        next_cursor=page.events[-1].event_id if page.events else after,
        more=page.more,
        restarted=page.restarted,
    )


@router.get("/api/deliveries", summary="List deliveries, newest first")
@needs(Scope.READ)
async def list_deliveries(
    context: ContextOf,
    state: State | None = None,
    job_id: Annotated[Text | None, Query(alias="jobId")] = None,
    endpoint_id: Annotated[Text | None, Query(alias="endpointId")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=DELIVERY_ID_MAX)] = None,
) -> DeliveriesResponse:
    """Return a page of deliveries; `nextCursor` leads to the next one."""
    filters = DeliveryFilter(state, job_id, endpoint_id)
    page = await context.gateway.deliveries.page(context.caller, filters, limit, cursor)
    return DeliveriesResponse(
        deliveries=[delivery_response(stored) for stored in page.deliveries],
        next_cursor=page.next_cursor,
    )


@router.post("/api/deliveries/resend", status_code=202, summary="Send all failed events again")
@needs(Scope.OPERATE)
async def resend_failed(context: ContextOf, body: ResendFailedBody) -> ResendResponse:
    """Send every event that failed since a time again, once each. A restart does not stop it."""
    gateway, caller = context.gateway, context.caller
    if body.endpoint_id is not None:
        await gateway.endpoints.one(caller, body.endpoint_id)
    since = instant(body.since, "since")
    return resend_response(await gateway.deliveries.resend_failed(caller, since, body.endpoint_id))


@router.get("/api/deliveries/resend/{resend_id}", summary="The progress of sending again")
@needs(Scope.READ)
async def resend_run(resend_id: str, context: ContextOf) -> ResendResponse:
    """Return the number of events that were queued again."""
    return resend_response(await context.gateway.deliveries.resend_run(context.caller, resend_id))


@router.get("/api/deliveries/{delivery_id}", summary="Read a delivery")
@needs(Scope.READ)
async def read(delivery_id: int, context: ContextOf) -> OneDeliveryResponse:
    """Return a delivery and the events that never arrived."""
    delivery = await context.gateway.deliveries.one(context.caller, _storable(delivery_id))
    return one_delivery_response(*delivery)


@router.get("/api/deliveries/{delivery_id}/attempts", summary="Read a delivery's attempts")
@needs(Scope.READ)
async def attempts(
    delivery_id: int, context: ContextOf, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> AttemptsResponse:
    """Return the attempts, newest first, including those of its resends."""
    attempts_found = await context.gateway.deliveries.attempts(
        context.caller, _storable(delivery_id), limit
    )
    return AttemptsResponse(attempts=[attempt_response(attempt) for attempt in attempts_found])


@router.post("/api/deliveries/{delivery_id}/resend", status_code=202, summary="Send an event again")
@needs(Scope.OPERATE)
async def resend(
    delivery_id: int, context: ContextOf, body: ResendBody | None = None
) -> OneDeliveryResponse:
    """Send one event again, with the same `webhook-id`, as a separate delivery."""
    deliveries, caller = context.gateway.deliveries, context.caller
    sequence = body.sequence if body else None
    resent = await deliveries.resend(caller, _storable(delivery_id), sequence)
    stored, _ = await read_back(deliveries.one(caller, resent.id), delivery_id=str(resent.id))
    return one_delivery_response(stored, [])


def _storable(delivery_id: int) -> int:
    # No delivery has an id outside the database's range, or the id 0.
    return delivery_id if abs(delivery_id) <= DELIVERY_ID_MAX else 0
