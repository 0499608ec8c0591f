"""Webhooks in the format `openai`, as OpenAI's official SDK for JavaScript reads them."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from reelhook.domain.event import Event, EventKind, WireStatus
from reelhook.domain.job import Job, Status
from reelhook.domain.signature import sign
from reelhook.doors.openai.payload import OpenAIPayload

pytestmark = pytest.mark.peers
HERE = Path(__file__).parent
SECRETS = ("a-plain-secret-of-ours", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def sent(status: WireStatus, secret: str, *, previous: str | None = None) -> dict[str, object]:
    """An event as it is sent, with the secret that its receiver has."""
    job = Job("job_1", "acme", Status(status), 0, 0)
    event = Event(job.id, 3, EventKind.TERMINAL, status, 100, 0, "video_of_the_provider")
    body, now = OpenAIPayload().body(job, event), time.time_ns() // 1_000_000
    headers = sign(body, message_id=event.id, now=now, secret=secret, previous=previous)
    return {"secret": secret, "headers": headers, "body": body.decode()}


def test_the_npm_sdk_unwraps_both_ends_of_a_job_and_refuses_others_signatures() -> None:
    webhooks = [
        sent(status, secret, previous=previous)
        for status in (WireStatus.COMPLETED, WireStatus.FAILED)
        for secret in SECRETS
        for previous in (None, "the-secret-before-it")
    ]
    forged = {**webhooks[0], "secret": "another-secret-of-theirs"}
    lines = "\n".join(map(json.dumps, [*webhooks, forged]))
    ran = subprocess.run(
        ["node", "unwrap.mjs"], cwd=HERE, input=lines, capture_output=True, text=True, check=True
    )
    *read, refused = map(json.loads, ran.stdout.splitlines())
    assert read == [
        {"type": f"video.{status}", "video": "video_1"}
        for status in ("completed", "failed")
        for _ in range(4)
    ]
    assert refused == {"error": "InvalidWebhookSignatureError"}
