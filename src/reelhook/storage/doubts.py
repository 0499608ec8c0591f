"""Operations on jobs of which nobody knows whether a provider has them."""

from collections.abc import Sequence

from reelhook.domain.endpoint import EndpointKind
from reelhook.domain.event import Instant
from reelhook.ports import Destination, StoredJob
from reelhook.storage.operation import Operation, Statement, query, side_by_side
from reelhook.storage.rows import STORED_JOB, stored_job_of


def in_doubt() -> Operation[list[StoredJob]]:
    """Return the jobs of which nobody knows whether a provider has them, oldest first."""
    open_ones = yield Statement(
        f"SELECT {STORED_JOB} FROM jobs WHERE code = 'submission_unknown'"
        " AND doubt_closed_at IS NULL ORDER BY created_at, id"
    )
    looked_up = yield Statement(
        f"SELECT {STORED_JOB} FROM jobs"
        " WHERE status = 'submitting' AND doubt_since IS NOT NULL ORDER BY created_at, id"
    )
    return [stored_job_of(row) for row in (*open_ones, *looked_up)]


def close_doubt(job_id: str, now: Instant) -> Operation[bool]:
    """Keep that a person has settled it; False where there was nothing to settle."""
    rows = yield Statement(
        "UPDATE jobs SET doubt_closed_at = ?2, version = version + 1 WHERE id = ?1"
        " AND code = 'submission_unknown' AND doubt_closed_at IS NULL RETURNING id",
        (job_id, now),
    )
    return bool(rows)


def destinations(job_id: str) -> Operation[list[Destination]]:
    """Return where a job's events go."""
    rows = yield Statement(
        "SELECT d.endpoint_id, d.url, e.kind FROM deliveries d JOIN endpoints e"
        " ON e.id = d.endpoint_id WHERE d.job_id = ?1 AND d.resend_of IS NULL ORDER BY d.id",
        (job_id,),
    )
    return [
        Destination(endpoint_id, url if kind == EndpointKind.URL else None)
        for endpoint_id, url, kind in rows
    ]


def of_provider(accounts: Sequence[str], provider_job_id: str) -> Operation[StoredJob | None]:
    """Return the job of one of these accounts that its provider calls so."""
    found = yield from side_by_side(
        [
            query(
                f"SELECT {STORED_JOB} FROM jobs WHERE account = ?1 AND provider_job_id = ?2",
                (account, provider_job_id),
            )
            for account in accounts
        ]
    )
    return next((stored_job_of(rows[0]) for rows in found if rows), None)
