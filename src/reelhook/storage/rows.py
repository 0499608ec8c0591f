"""Between rows and the domain's values: the one place that knows the order of columns."""

from collections.abc import Sequence
from typing import Any

from reelhook.domain.delivery import Delivery
from reelhook.domain.job import Job, Status, VideoRequest
from reelhook.ports import StoredJob

STATE_COLUMNS = (
    "id",
    "account",
    "status",
    "created_at",
    "updated_at",
    "progress",
    "sequence",
    "version",
    "provider_job_id",
    "adopted",
    "submit_attempts",
    "submit_due_at",
    "submit_started_at",
    "doubt_since",
    "accepted_at",
    "missing_since",
    "error",
    "code",
    "content_url",
    "content_expires_at",
)
REQUEST_COLUMNS = (
    "script",
    "model",
    "direction",
    "seconds",
    "size",
    "wallet_address",
    "render_version",
)
DELIVERY_COLUMNS = (
    "id",
    "job_id",
    "endpoint_id",
    "url",
    "trusted",
    "status_sequence",
    "progress_sequence",
    "attempts",
    "due_at",
    "ended",
)
STATE = ", ".join(STATE_COLUMNS)
# The account's last completed round or the job's own last single read, as in `video_jobs`:
# a round writes one row for all of its jobs.
_CHECKED_AT = """
CASE WHEN accepted_at IS NULL THEN NULL
     WHEN status NOT IN ('queued', 'processing') THEN updated_at
     ELSE nullif(max(coalesce(checked_at, 0), coalesce(
       (SELECT round_at FROM accounts WHERE id = jobs.account AND round_at >= accepted_at), 0)), 0)
END
"""
STORED_JOB = ", ".join((*STATE_COLUMNS, *REQUEST_COLUMNS, "webhook_url", _CHECKED_AT))
DELIVERY = ", ".join(f"d.{name}" for name in DELIVERY_COLUMNS)

_ADOPTED = STATE_COLUMNS[3:].index("adopted")
_REQUEST = slice(len(STATE_COLUMNS), len(STATE_COLUMNS) + len(REQUEST_COLUMNS))


def job_of(row: Sequence[Any]) -> Job:
    """Read `STATE`."""
    job_id, account, status, *rest = row[: len(STATE_COLUMNS)]
    rest[_ADOPTED] = bool(rest[_ADOPTED])
    return Job(job_id, account, Status(status), *rest)


def state_of(job: Job) -> tuple[Any, ...]:
    """Write `STATE`."""
    return tuple(
        value.value if isinstance(value := getattr(job, name), Status) else value
        for name in STATE_COLUMNS
    )


def request_of(request: VideoRequest) -> tuple[Any, ...]:
    """Write `REQUEST_COLUMNS`."""
    return tuple(getattr(request, name) for name in REQUEST_COLUMNS)


def stored_job_of(row: Sequence[Any]) -> StoredJob:
    """Read `STORED_JOB`."""
    return StoredJob(
        job=job_of(row),
        request=VideoRequest(*row[_REQUEST]),
        webhook_url=row[_REQUEST.stop],
        checked_at=row[_REQUEST.stop + 1],
    )


def delivery_of(row: Sequence[Any]) -> Delivery:
    """Read `DELIVERY`."""
    delivery_id, job_id, endpoint_id, url, trusted, status, progress, attempts, due_at, ended = row[
        : len(DELIVERY_COLUMNS)
    ]
    return Delivery(
        id=delivery_id,
        job_id=job_id,
        endpoint_id=endpoint_id,
        url=url,
        trusted=bool(trusted),
        status_sequence=status,
        progress_sequence=progress,
        attempts=attempts,
        due_at=due_at,
        ended=bool(ended),
    )
