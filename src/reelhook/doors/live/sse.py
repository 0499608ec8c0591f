"""Live events: Server-Sent Events, one per change, each with the webhook's body."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import sequence_of
from reelhook.doors.context import Context, ContextOf
from reelhook.doors.event_stream import HEARTBEAT_SECONDS, EventStream
from reelhook.doors.fields import Text
from reelhook.doors.limits import StreamSlots
from reelhook.doors.policy import KeyRoute, needs
from reelhook.gateway import StoredEvent

router = APIRouter(tags=["jobs"], route_class=KeyRoute)
STREAM_JOBS_MAX = 100
_NOT_FOR_BROWSERS = frozenset({"providerVideoUrl", "contentExpiresAt"})


@router.get(
    "/api/jobs/events",
    summary="Follow jobs live",
    response_class=StreamingResponse,
    responses={200: {"description": "The events", "content": {"text/event-stream": {}}}},
)
@needs(Scope.READ, one_job="jobIds")
async def stream(
    context: ContextOf,
    job_ids: Annotated[Text, Query(alias="jobIds")],
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Stream the changes of these jobs, comma-separated. Each job's latest event comes first.

    `Last-Event-ID`, which browsers send when they reconnect, names the last event that the client
    has seen. Its job's stream continues after it, so that no event is missed.
    """
    ids = list(dict.fromkeys(filter(None, (job_id.strip() for job_id in job_ids.split(",")))))
    if not 1 <= len(ids) <= STREAM_JOBS_MAX:
        raise InvalidRequestError(
            "jobIds", f"jobIds must name 1 to {STREAM_JOBS_MAX} jobs, comma-separated"
        )
    slots: StreamSlots = context.request.app.state.stream_slots
    slots.check()
    after = {}
    for job_id, latest in (await context.gateway.feed.sequences(context.caller, ids)).items():
        seen = sequence_of(last_event_id or "", job_id)
        after[job_id] = max(0, latest - 1) if seen is None or seen > latest else seen
    return EventStream(_events(context, ids, after), slots)


async def _events(
    context: Context, ids: Sequence[str], after: dict[str, int]
) -> AsyncGenerator[bytes, None]:
    """Yield the events until the program stops, or the credential of the stream ends."""
    feed, caller = context.gateway.feed, context.caller
    yield b": following\n\n"
    with feed.follow(caller, ids) as follower, context.lifetime(follower.changed.set) as lifetime:
        while not (feed.stopping.is_set() or lifetime.over):
            for event in await feed.events(caller, follower.take(), after):
                after[event.job_id] = event.sequence
                body = _for_browser(context, event) if context.by_browser_token else event.body
                yield b"id: %b\ndata: %b\n\n" % (event.event_id.encode(), body)
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await follower.changed.wait()
            except TimeoutError:
                yield b": still here\n\n"


def _for_browser(context: Context, event: StoredEvent) -> bytes:
    """Return the body without what the status lacks: links that work without the token."""
    content = json.loads(event.body)
    if "videoUrl" in content:
        content["videoUrl"] = context.video_url(event.job_id)
    shown = {name: value for name, value in content.items() if name not in _NOT_FOR_BROWSERS}
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode()
