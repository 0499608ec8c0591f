"""A response of Server-Sent Events."""

from collections.abc import AsyncGenerator

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from reelhook.doors.limits import StreamSlots

HEARTBEAT_SECONDS = 15.0
"""The longest silence of a stream: proxies close connections that are silent for longer."""


class EventStream(StreamingResponse):
    """A response that holds a slot for as long as it lasts."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], slots: StreamSlots) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers)
        self._events = events
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until either side ends the stream."""
        try:
            with self._slots.take():
                await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()
