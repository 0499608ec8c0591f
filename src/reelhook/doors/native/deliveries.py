"""Deliveries: what was sent, what was not, sending it anew; and the feed of all events."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from reelhook.domain.delivery import Attempt
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant, iso, maybe_iso
from reelhook.doors.context import DeliveriesOf, EndpointsOf
from reelhook.doors.fields import Schema
from reelhook.ports import DeliveryFilter, Resend, StoredDelivery
from reelhook.service.reading_back import read_back

router = APIRouter(tags=["deliveries"])
State = Literal["waiting", "delivered", "failed", "ended"]
ID_MAX = 2**63 - 1


class AttemptResponse(Schema):
    """One HTTP try."""

    delivery_id: int
    event_id: str = Field(description="The webhook-id")
    sequence: int
    number: int = Field(description="Counts from 1 for each event")
    probe: bool = Field(description="Sent before its time, to see whether a receiver is back")
    started_at: str
    duration_ms: int
    status: int | None
    error: str | None = Field(description="Class of failure, or null")
    detail: str | None
    answer: str = Field(description="The first 16 KiB of the receiver's body")


class DeliveryResponse(Schema):
    """A delivery: the cursor of one job's events at one endpoint, or a resend."""

    id: int
    job_id: str
    endpoint_id: str
    url: str
    state: str | None = Field(
        description="waiting, delivered, failed (all attempts used up), ended (410, or removed), "
        "or null before the first event"
    )
    next_sequence: int | None = Field(description="The event that waits")
    next_attempt_at: str | None
    attempts: int = Field(description="How often the waiting event was tried")
    delivered_sequence: int | None = Field(description="The newest event that arrived")
    resend_of: int | None
    last_attempt: AttemptResponse | None


class UndeliveredResponse(Schema):
    """An event that never arrived."""

    sequence: int
    fate: str = Field(description="superseded, exhausted or gone")
    at: str


class OneDeliveryResponse(DeliveryResponse):
    """A delivery with the events that never arrived."""

    undelivered: list[UndeliveredResponse]


class DeliveriesResponse(Schema):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryResponse]
    next_cursor: int | None


class AttemptsResponse(Schema):
    """A delivery's attempts and those of its resends, newest first."""

    attempts: list[AttemptResponse]


class FeedResponse(Schema):
    """Events of all jobs: each the webhook's body, with its `webhook-id` as `id`."""

    events: list[dict[str, Any]]
    next_cursor: str | None = Field(description="What to ask for with `after` next")
    more: bool = Field(description="Whether there are more already")
    restarted: bool = Field(
        description="The event of `after` is no longer kept: these begin with the oldest one"
    )


class ResendBody(Schema):
    """Which event to send anew."""

    sequence: Annotated[int, Field(strict=True, ge=1, le=ID_MAX)] | None = Field(
        None, description="Left out: the job's newest"
    )


class ResendFailedBody(Schema):
    """What to send anew."""

    since: AwareDatetime = Field(description="All that failed since then, e.g. 2026-01-31T00:00Z")
    endpoint_id: str | None = Field(None, description="Left out: at every endpoint")


class ResendResponse(Schema):
    """How far sending anew is."""

    id: str
    since: str
    until: str
    endpoint_id: str | None
    resent: int
    finished: bool


@router.get("/api/events", summary="Read the events of all jobs, in order")
async def feed(
    deliveries: DeliveriesOf,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> FeedResponse:
    """Return what came after the event with that id: a receiver that missed some catches up."""
    page = await deliveries.events_after(after, limit)
    return FeedResponse(
        events=[{"id": one.event_id, **json.loads(one.body)} for one in page.events],
        next_cursor=page.events[-1].event_id if page.events else after,
        more=page.more,
        restarted=page.restarted,
    )


@router.get("/api/deliveries", summary="List deliveries, newest first")
async def list_deliveries(
    deliveries: DeliveriesOf,
    state: State | None = None,
    job_id: Annotated[str | None, Query(alias="jobId")] = None,
    endpoint_id: Annotated[str | None, Query(alias="endpointId")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
) -> DeliveriesResponse:
    """Return a page of deliveries; `nextCursor` leads to the next one."""
    page = await deliveries.page(DeliveryFilter(state, job_id, endpoint_id), limit, cursor)
    return DeliveriesResponse(
        deliveries=[DeliveryResponse(**_told(one)) for one in page.deliveries],
        next_cursor=page.next_cursor,
    )


@router.post("/api/deliveries/resend", status_code=202, summary="Send anew all that failed")
async def resend_failed(
    deliveries: DeliveriesOf, endpoints: EndpointsOf, body: ResendFailedBody
) -> ResendResponse:
    """Send every event that failed since a moment anew, each once. It outlives a restart."""
    if body.endpoint_id is not None:
        await endpoints.one(body.endpoint_id)
    return _run(await deliveries.resend_failed(_instant(body.since), body.endpoint_id))


@router.get("/api/deliveries/resend/{resend_id}", summary="How far sending anew is")
async def resend_run(resend_id: str, deliveries: DeliveriesOf) -> ResendResponse:
    """Return how many events are on their way again."""
    return _run(await deliveries.resend_run(resend_id))


@router.get("/api/deliveries/{delivery_id}", summary="Read a delivery")
async def read(delivery_id: int, deliveries: DeliveriesOf) -> OneDeliveryResponse:
    """Return a delivery and the events that never arrived."""
    stored, undelivered = await deliveries.one(_known(delivery_id))
    missed = [
        UndeliveredResponse(sequence=one.sequence, fate=one.fate.value, at=iso(one.at))
        for one in undelivered
    ]
    return OneDeliveryResponse(**_told(stored), undelivered=missed)


@router.get("/api/deliveries/{delivery_id}/attempts", summary="Read a delivery's attempts")
async def attempts(
    delivery_id: int, deliveries: DeliveriesOf, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> AttemptsResponse:
    """Return the attempts, newest first, those of its resends too."""
    found = await deliveries.attempts(_known(delivery_id), limit)
    return AttemptsResponse(attempts=[_attempt(one) for one in found])


@router.post("/api/deliveries/{delivery_id}/resend", status_code=202, summary="Send one anew")
async def resend(
    delivery_id: int, deliveries: DeliveriesOf, body: ResendBody | None = None
) -> OneDeliveryResponse:
    """Send one event anew, with the same `webhook-id`, as a delivery of its own."""
    sequence = body.sequence if body else None
    resent = await deliveries.resend(_known(delivery_id), sequence)
    stored, _ = await read_back(deliveries.one(resent.id), delivery_id=str(resent.id))
    return OneDeliveryResponse(**_told(stored), undelivered=[])


def _known(delivery_id: int) -> int:
    # Beyond what a database counts there is none.
    return delivery_id if abs(delivery_id) <= ID_MAX else 0


def _instant(moment: datetime) -> Instant:
    # Years 1 and 9999 may leave the calendar on their way to UTC.
    if moment.timestamp() < 0:
        raise InvalidRequestError("since", "since must be a moment after 1970")
    return round(moment.timestamp() * 1000)


def _run(resend: Resend) -> ResendResponse:
    return ResendResponse(
        id=resend.id,
        since=iso(resend.since),
        until=iso(resend.until),
        endpoint_id=resend.endpoint_id,
        resent=resend.resent,
        finished=resend.finished_at is not None,
    )


def _told(stored: StoredDelivery) -> dict[str, Any]:
    delivery = stored.delivery
    return {
        "id": delivery.id,
        "job_id": delivery.job_id,
        "endpoint_id": delivery.endpoint_id,
        "url": stored.url,
        "state": delivery.state,
        "next_sequence": delivery.next_sequence,
        "next_attempt_at": maybe_iso(delivery.due_at),
        "attempts": delivery.attempts,
        "delivered_sequence": delivery.delivered_sequence,
        "resend_of": delivery.resend_of,
        "last_attempt": None if stored.last is None else _attempt(stored.last),
    }


def _attempt(attempt: Attempt) -> AttemptResponse:
    return AttemptResponse(
        delivery_id=attempt.delivery_id,
        event_id=attempt.event_id,
        sequence=attempt.sequence,
        number=attempt.number,
        probe=attempt.probe,
        started_at=iso(attempt.started_at),
        duration_ms=attempt.answer.duration_ms,
        status=attempt.answer.status,
        error=attempt.answer.error,
        detail=attempt.answer.detail,
        answer=attempt.answer.body,
    )
