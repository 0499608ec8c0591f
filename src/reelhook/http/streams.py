"""Live events: Server-Sent Events, one per change, each the webhook's body."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from reelhook.domain.errors import InvalidRequestError
from reelhook.http.context import ServiceOf
from reelhook.service import Service

router = APIRouter(tags=["jobs"])
JOBS_MAX = 100
HEARTBEAT_SECONDS = 15.0


@router.get("/api/jobs/events", summary="Follow jobs live", response_class=StreamingResponse)
async def stream(
    service: ServiceOf,
    job_ids: Annotated[str, Query(alias="jobIds")],
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Stream the changes of these jobs, comma-separated. What was told last comes first.

    `Last-Event-ID`, which browsers send when they connect again, names the event that was seen
    last: its job's stream goes on behind it, so that none is missed.
    """
    ids = list(dict.fromkeys(filter(None, (one.strip() for one in job_ids.split(",")))))
    if not 1 <= len(ids) <= JOBS_MAX:
        raise InvalidRequestError(
            "jobIds", f"jobIds must name 1 to {JOBS_MAX} jobs, comma-separated"
        )
    after = {}
    for job_id in ids:
        told = (await service.job(job_id)).job.sequence
        seen = _sequence(last_event_id or "", job_id)
        after[job_id] = max(0, told - 1) if seen is None or seen > told else seen
    return StreamingResponse(
        _events(service, ids, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _sequence(event_id: str, job_id: str) -> int | None:
    """Return where in the job's history an event is, or None when it isn't this job's."""
    digits = event_id.removeprefix(f"evt_{job_id}_")
    known = digits != event_id and digits.isascii() and digits.isdigit() and len(digits) < 10
    return int(digits) if known else None


async def _events(
    service: Service, ids: Sequence[str], after: dict[str, int]
) -> AsyncIterator[bytes]:
    yield b": following\n\n"
    while not service.stopping.is_set():
        changed = service.changed
        for event in await service.events(ids, after):
            after[event.job_id] = event.sequence
            yield b"id: %b\ndata: %b\n\n" % (event.event_id.encode(), event.body)
        try:
            await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
        except TimeoutError:
            yield b": still here\n\n"
