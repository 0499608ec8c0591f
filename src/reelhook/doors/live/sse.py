"""Live events: Server-Sent Events, one per change, each the webhook's body."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import sequence_of
from reelhook.doors.context import ServiceOf
from reelhook.doors.limits import LimitError
from reelhook.service import Jobs

router = APIRouter(tags=["jobs"])
JOBS_MAX = 100
HEARTBEAT_SECONDS = 15.0
RETRY_AFTER_SECONDS = 30


class StreamSlots:
    """How many streams may be open at once."""

    def __init__(self, streams_max: int) -> None:
        self._max = streams_max
        self._taken = 0

    def check(self) -> None:
        """Raise `LimitError` where none is free."""
        if self._taken >= self._max:
            raise LimitError(
                503,
                "too_many_streams",
                f"{self._max} live streams are open, which is the limit; close some, follow "
                "several jobs in one, or raise REELHOOK_STREAMS_MAX",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Take a place until the block ends. Raises `LimitError`."""
        self.check()
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class EventStream(StreamingResponse):
    """A response that takes one of the places as long as it lasts."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], places: StreamSlots) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers)
        self._events = events
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until either side ends it."""
        try:
            with self._places.one():
                await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


@router.get("/api/jobs/events", summary="Follow jobs live", response_class=StreamingResponse)
async def stream(
    request: Request,
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
    places: StreamSlots = request.app.state.places
    places.check()
    after = {}
    for job_id, told in (await service.sequences(ids)).items():
        seen = sequence_of(last_event_id or "", job_id)
        after[job_id] = max(0, told - 1) if seen is None or seen > told else seen
    return EventStream(_events(service, ids, after), places)


async def _events(
    service: Jobs, ids: Sequence[str], after: dict[str, int]
) -> AsyncGenerator[bytes, None]:
    yield b": following\n\n"
    with service.follow(ids) as follower:
        while not service.stopping.is_set():
            for event in await service.events(follower.take(), after):
                after[event.job_id] = event.sequence
                yield b"id: %b\ndata: %b\n\n" % (event.event_id.encode(), event.body)
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await follower.changed.wait()
            except TimeoutError:
                yield b": still here\n\n"
