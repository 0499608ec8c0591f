"""The callback of Vercel's AI Gateway: its body, and the headers that sign it.

The source is `docs/00-ai-gateway.mdx` of `@ai-sdk/gateway` 4.0.146, which describes the callbacks
of batches. A receiver reads `data.jobId` and `data.status`. The status is `completed`, `failed` or
`cancelled`.
"""

import hmac
import json
from collections.abc import Mapping

from reelhook.domain.endpoint import EventName
from reelhook.domain.event import Event, Instant, iso
from reelhook.domain.job import Job, Status


class VercelPayload:
    """Renders the end of a job. `data.jobId` is the job's id."""

    events = frozenset({EventName.COMPLETED, EventName.FAILED})

    def body(self, job: Job, event: Event) -> bytes:
        """Return the body that reports an event of a job."""
        status = "cancelled" if job.status is Status.CANCELED else event.status.value
        return _body(event.id, event.occurred_at, {"jobId": job.id, "status": status})

    def test_body(self, message_id: str, now: Instant) -> bytes:
        """Return the body of a test webhook, about a job that does not exist."""
        return _body(message_id, now, {"jobId": message_id, "status": "completed", "test": True})


def vercel_headers(body: bytes, secret: str, now: Instant) -> Mapping[str, str]:
    """Return the headers of one attempt. The key is the secret's text, even after `whsec_`."""
    timestamp, data = now // 1000, json.loads(body)["data"]
    content = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), content, "sha256").hexdigest()
    return {
        "x-ai-gateway-signature": f"t={timestamp},v1={digest}",
        "x-ai-gateway-idempotency-key": f"{data['jobId']}-{data['status']}",
    }


def _body(event_id: str, at: Instant, facts: Mapping[str, object]) -> bytes:
    content = {
        "id": event_id,
        "type": f"video.{facts['status']}",
        "createdAt": iso(at),
        "data": facts,
    }
    return json.dumps(content, separators=(",", ":")).encode()
