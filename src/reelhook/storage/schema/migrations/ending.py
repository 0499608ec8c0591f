"""Ends jobs on rollback that would otherwise be created without options they requested."""

import json
import time
from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.domain.event import Event, EventKind, WireStatus, iso

_END = """
UPDATE jobs SET status = 'failed', code = :code, error = :error, version = version + 1,
  sequence = :sequence, updated_at = :now, submit_due_at = NULL, doubt_since = NULL WHERE id = :job
"""
_ADD_EVENT = """
INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body, position)
VALUES (:id, :job, :sequence, 'terminal', 'failed', :progress, :now, :body,
  (SELECT coalesce(max(position), 0) + 1 FROM events))
"""
_RECIPIENTS = """
job_id = :job AND resend_of IS NULL AND NOT ended AND endpoint_id IN (
  SELECT id FROM endpoints WHERE events IS NULL OR events LIKE '%failed%')
"""
_SUPERSEDE = f"""
INSERT INTO undelivered (delivery_id, sequence, fate, at)
SELECT id, status_sequence, 'superseded', CAST(:now AS BIGINT) FROM deliveries
WHERE status_sequence IS NOT NULL AND {_RECIPIENTS}
UNION ALL SELECT id, progress_sequence, 'superseded', CAST(:now AS BIGINT) FROM deliveries
WHERE progress_sequence IS NOT NULL AND {_RECIPIENTS}
"""
_OFFER = f"""
UPDATE deliveries SET status_sequence = :sequence, progress_sequence = NULL, attempts = 0,
  due_at = :now, terminal_at = :now WHERE {_RECIPIENTS}
"""


_WAKE = """
UPDATE endpoints SET next_at = 0
WHERE id IN (SELECT endpoint_id FROM deliveries WHERE job_id = :job)
"""


def end_jobs(which: str, *, code: str, error: str, next_at: bool = False) -> None:
    """End jobs as failed, with the event that reports it.

    For schemas from 0003: they have events with positions, and endpoints. `next_at`: endpoints
    have the time of their next check (from 0008).
    """
    connection = op.get_bind()
    now = time.time_ns() // 1_000_000
    found = connection.execute(
        sa.text(f"SELECT id, sequence, progress, provider_job_id FROM jobs WHERE {which}")
    )
    for job_id, sequence, progress, provider_job_id in found.fetchall():
        event = Event(
            job_id=job_id,
            sequence=sequence + 1,
            kind=EventKind.TERMINAL,
            status=WireStatus.FAILED,
            progress=progress,
            occurred_at=now,
            provider_job_id=provider_job_id,
            error=error,
            code=code,
        )
        values: dict[str, Any] = {
            "id": event.id,
            "job": job_id,
            "sequence": event.sequence,
            "progress": progress,
            "now": now,
            "code": code,
            "error": error,
            "body": _body(event),
        }
        for statement in (_END, _ADD_EVENT, _SUPERSEDE, _OFFER, *([_WAKE] if next_at else [])):
            text = sa.text(statement)
            connection.execute(text, {name: values[name] for name in text.compile().params})


def _body(event: Event) -> bytes:
    """Return the webhook's body in the format of these schemas, whatever the current one is."""
    content = {
        "jobId": event.job_id,
        "soraJobId": event.provider_job_id,
        "status": event.status.value,
        "progress": event.progress,
        "error": event.error,
        "code": event.code,
        "timestamp": iso(event.occurred_at),
        "sequence": event.sequence,
    }
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
