"""Operations that read which webhooks are held up, and why, at a bounded cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from reelhook.domain.causes.cause import COUNTED_MAX
from reelhook.domain.causes.webhooks import HeldEndpoint, HeldWebhook
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.endpoint import Disabled, shown_url
from reelhook.ports import ExhaustedWebhooks, HeldReceiver
from reelhook.storage.operation import Operation, Row, Statement, concurrently, query

RECEIVERS_READ = 25
"""The number of endpoints of each kind that are read: held back, and failing at times."""
WEBHOOKS_READ = 5
"""The number of webhooks that are read of an endpoint which fails at times."""
EXHAUSTED_READ = 200
"""The number of deliveries that are read which failed at every attempt."""
FAILED_READ = 1000
"""The number of failed events among which those are searched that were their delivery's last."""
_RECEIVER = "e.id, e.url, e.disabled, e.disabled_at, e.failing_since, e.probe_due_at, e.description"
_ATTEMPT = "a.http_status, a.error, a.detail"
_LAST_ATTEMPT = (
    "LEFT JOIN attempts a ON a.id = (SELECT max(l.id) FROM attempts l WHERE l.delivery_id = d.id)"
)
_TRIED_AT = (
    "(SELECT min(f.started_at) FROM attempts f WHERE f.delivery_id = d.id"
    " AND f.sequence = coalesce(d.status_sequence, d.progress_sequence))"
)
_WEBHOOK = f"d.id, d.job_id, d.due_at, d.attempts, {_TRIED_AT}"
_FAILED_AT = (
    "(SELECT max(u.at) FROM undelivered u WHERE u.delivery_id = d.id AND u.fate = 'exhausted'"
    " AND u.resent_by IS NULL)"
)
_SEEN = "(CAST(?1 AS TEXT) IS NULL OR project = ?1)"
_HELD_BACK = (
    "SELECT * FROM endpoints WHERE (disabled IS NOT NULL OR probe_due_at IS NOT NULL)"
    f" AND deleted_at IS NULL AND {_SEEN} ORDER BY created_at, id LIMIT ?2"
)
_SHAKY = (
    "SELECT * FROM endpoints WHERE failures > 0 AND probe_due_at IS NULL"
    f" AND disabled IS NULL AND deleted_at IS NULL AND {_SEEN} ORDER BY next_at LIMIT ?2"
)
_WAITING = "d.lane = e.lane AND d.endpoint_id = e.id AND d.due_at IS NOT NULL"
_COUNTED = (
    f"(SELECT count(*) FROM (SELECT 1 FROM deliveries d WHERE {_WAITING}"
    " ORDER BY d.due_at LIMIT ?3) AS counted)"
)
_RECEIVERS = f"SELECT {_RECEIVER}, e.lane, {_COUNTED} FROM ({{chosen}}) AS e"
_FIRST = f"""
SELECT {_WEBHOOK}, {_ATTEMPT} FROM (SELECT * FROM deliveries
  WHERE lane = ?1 AND endpoint_id = ?2 AND due_at IS NOT NULL ORDER BY due_at LIMIT ?3) AS d
{_LAST_ATTEMPT} ORDER BY d.due_at
"""
_EXHAUSTED = f"""
SELECT {_RECEIVER}, d.id, d.job_id, f.at FROM (SELECT delivery_id, at FROM undelivered
  WHERE fate = 'exhausted' AND resent_by IS NULL ORDER BY at DESC LIMIT ?2) AS f
JOIN deliveries d ON d.id = f.delivery_id AND d.outcome = 'exhausted' AND d.due_at IS NULL
JOIN endpoints e ON e.id = d.endpoint_id AND e.deleted_at IS NULL
WHERE (CAST(?1 AS TEXT) IS NULL OR e.project = ?1) ORDER BY f.at DESC LIMIT ?3
"""
_HELD = "(d.due_at IS NOT NULL OR d.outcome = 'exhausted')"
ANY_OF_JOB = f"EXISTS (SELECT 1 FROM deliveries d WHERE d.job_id = jobs.id AND {_HELD})"
"""True if a webhook of the job in this row waits or has failed."""
_OF_JOB = f"""
SELECT {_WEBHOOK}, {_ATTEMPT}, {_FAILED_AT}, {_RECEIVER}
FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id {_LAST_ATTEMPT}
WHERE d.job_id = ?1 AND {_HELD} ORDER BY d.id
"""
_ATTEMPT_AT, _FAILED_AT_AT, _RECEIVER_AT = 5, 8, 9


def receivers(project: str | None = None) -> Operation[list[HeldReceiver]]:
    """Return endpoints that are disabled or fail, with the first webhooks that wait there."""
    found: list[HeldReceiver] = []
    for chosen, webhooks in ((_HELD_BACK, 1), (_SHAKY, WEBHOOKS_READ)):
        rows = yield Statement(
            _RECEIVERS.format(chosen=chosen), (project, RECEIVERS_READ, COUNTED_MAX + 1)
        )
        first = yield from concurrently(
            [query(_FIRST, (lane, endpoint_id, webhooks)) for endpoint_id, *_, lane, _ in rows]
        )
        found += [_held_receiver(row, waiting) for row, waiting in zip(rows, first, strict=True)]
    return found


def exhausted(project: str | None = None) -> Operation[ExhaustedWebhooks]:
    """Return deliveries that failed at every attempt and were not sent again, newest first."""
    rows = yield Statement(_EXHAUSTED, (project, FAILED_READ, EXHAUSTED_READ))
    webhooks = [
        HeldWebhook(delivery_id, job_id, _receiver(receiver), failed_at=at)
        for *receiver, delivery_id, job_id, at in rows
    ]
    return ExhaustedWebhooks(webhooks, more=len(webhooks) == EXHAUSTED_READ)


def of_jobs(job_ids: Sequence[str]) -> Operation[Mapping[str, Sequence[HeldWebhook]]]:
    """Return the deliveries of these jobs that wait or have failed, by job."""
    read = yield from concurrently([query(_OF_JOB, (job_id,)) for job_id in job_ids])
    return {
        job_id: [_webhook(row, _receiver(row[_RECEIVER_AT:]), row[_FAILED_AT_AT]) for row in rows]
        for job_id, rows in zip(job_ids, read, strict=True)
        if rows
    }


def _held_receiver(row: Row, waiting: Sequence[Row]) -> HeldReceiver:
    *receiver, _, count = row
    read = _receiver(receiver)
    webhooks = tuple(_webhook(one, read) for one in waiting)
    return HeldReceiver(read, webhooks, min(count, COUNTED_MAX), count > COUNTED_MAX)


def _receiver(row: Sequence[Any]) -> HeldEndpoint:
    endpoint_id, url, disabled, disabled_at, failing_since, probe_due_at, description = row
    return HeldEndpoint(
        endpoint_id,
        shown_url(url),
        None if disabled is None else Disabled(disabled),
        disabled_at,
        failing_since,
        probe_due_at,
        description,
    )


def _webhook(row: Row, receiver: HeldEndpoint, failed_at: int | None = None) -> HeldWebhook:
    delivery_id, job_id, due_at, attempts, tried_at = row[:_ATTEMPT_AT]
    status, error, detail = row[_ATTEMPT_AT:_FAILED_AT_AT]
    tried = status is not None or error is not None
    return HeldWebhook(
        delivery_id,
        job_id,
        receiver,
        due_at=due_at,
        attempts=attempts,
        tried_at=tried_at,
        failed_at=failed_at,
        response=WebhookResponse(0, status, error, detail) if tried else None,
    )
