"""The webhook body of OpenAI, as its SDKs' `webhooks.unwrap` parses it.

Its form is that of `ResponseCompletedWebhookEvent` in `openai/types/webhooks` (Python 3.57.0). The
types `video.completed` and `video.failed` are among the event types in `resources/webhooks`.
"""

import json

from reelhook.domain.endpoint import EventName, name_of
from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job
from reelhook.doors.openai.ids import video_id


class OpenAIPayload:
    """Renders the end of a job. The other events have no type there."""

    events = frozenset({EventName.COMPLETED, EventName.FAILED})

    def body(self, job: Job, event: Event) -> bytes:
        """Return the body that reports an event of a job."""
        return _body(event.id, event.occurred_at, name_of(event), video_id(job.id))

    def test_body(self, message_id: str, now: Instant) -> bytes:
        """Return the body of a test webhook, about a video that does not exist."""
        return _body(message_id, now, EventName.COMPLETED, f"video_{message_id}", test=True)


def _body(event_id: str, at: Instant, name: EventName, video: str, *, test: bool = False) -> bytes:
    content: dict[str, object] = {
        "id": event_id,
        "object": "event",
        "created_at": at // 1000,
        "type": f"video.{name}",
        "data": {"id": video},
    }
    if test:
        content["test"] = True
    return json.dumps(content, separators=(",", ":")).encode()
