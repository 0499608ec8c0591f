"""The bodies that the routes about deliveries take and return."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from reelhook.domain.delivery import Attempt
from reelhook.domain.event import iso, maybe_iso
from reelhook.doors.fields import Schema, Time, maybe_project
from reelhook.gateway import Resend, StoredDelivery, StoredEvent, Undelivered

State = Literal["waiting", "delivered", "failed", "ended"]
DELIVERY_ID_MAX = 2**63 - 1


class AttemptResponse(Schema):
    """One HTTP attempt."""

    delivery_id: int
    event_id: str = Field(description="The webhook-id")
    sequence: int
    number: int = Field(description="Counts from 1 for each event")
    probe: bool = Field(description="Sent ahead of its schedule, to see if a receiver is back")
    started_at: str
    duration_ms: int
    status: int | None
    error: str | None = Field(description="Class of failure, or null")
    detail: str | None
    answer: str = Field(description="The first 16 KiB of the receiver's response")


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
    """Events of jobs: each the webhook's body, with its `webhook-id` as `id`.

    `project` is that of the job; absent for `default`.
    """

    events: list[dict[str, Any]]
    next_cursor: str | None = Field(description="The value of `after` for the next request")
    more: bool = Field(description="true: there are more already")
    restarted: bool = Field(
        description="The event of `after` is no longer kept: these begin with the oldest one"
    )


class ResendBody(Schema):
    """The event to send again."""

    sequence: Annotated[int, Field(strict=True, ge=1, le=DELIVERY_ID_MAX)] | None = Field(
        None, description="If absent: the job's newest"
    )


class ResendFailedBody(Schema):
    """The events to send again."""

    since: Time = Field(description="All that failed since then, e.g. 2026-01-31T00:00Z")
    endpoint_id: str | None = Field(None, description="If absent: at every endpoint")


class ResendResponse(Schema):
    """The progress of sending failed events again."""

    id: str
    since: str
    until: str
    endpoint_id: str | None
    resent: int
    finished: bool


def event_response(event: StoredEvent) -> dict[str, Any]:
    """Return one event of the feed, as a response shows it."""
    project = maybe_project(event.project)
    named = {} if project is None else {"project": project}
    return {"id": event.event_id, **named, **json.loads(event.body)}


def delivery_response(stored: StoredDelivery) -> DeliveryResponse:
    """Return one delivery, as a response shows it."""
    return DeliveryResponse(**_fields(stored))


def one_delivery_response(
    stored: StoredDelivery, undelivered: list[Undelivered]
) -> OneDeliveryResponse:
    """Return one delivery with the events that never arrived, as a response shows it."""
    missed = [
        UndeliveredResponse(sequence=event.sequence, fate=event.fate.value, at=iso(event.at))
        for event in undelivered
    ]
    return OneDeliveryResponse(**_fields(stored), undelivered=missed)


def _fields(stored: StoredDelivery) -> dict[str, Any]:
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
        "last_attempt": None if stored.last is None else attempt_response(stored.last),
    }


def attempt_response(attempt: Attempt) -> AttemptResponse:
    """Return one attempt, as a response shows it."""
    return AttemptResponse(
        delivery_id=attempt.delivery_id,
        event_id=attempt.event_id,
        sequence=attempt.sequence,
        number=attempt.number,
        probe=attempt.probe,
        started_at=iso(attempt.started_at),
        duration_ms=attempt.response.duration_ms,
        status=attempt.response.status,
        error=attempt.response.error,
        detail=attempt.response.detail,
        answer=attempt.response.body,
    )


def resend_response(resend: Resend) -> ResendResponse:
    """Return the progress of a resend, as a response shows it."""
    return ResendResponse(
        id=resend.id,
        since=iso(resend.since),
        until=iso(resend.until),
        endpoint_id=resend.endpoint_id,
        resent=resend.resent,
        finished=resend.finished_at is not None,
    )
