"""Operations of deleted jobs: a row stays for the id and the costs, without its content."""

from collections.abc import Mapping

from reelhook.domain.audit import AuditEntry
from reelhook.domain.audit_facts import job_facts
from reelhook.domain.conflicts import JobDeletedError
from reelhook.domain.errors import JobNotFoundError
from reelhook.domain.event import Instant
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import audit as trail
from reelhook.storage.operations import files
from reelhook.storage.operations.ownership import of_project
from reelhook.storage.operations.rows import REQUEST_COLUMNS, STATE, job_of

# The rest of the state says what was bought: lookups of other creates need it, and so do costs.
_CONTENT = (
    *REQUEST_COLUMNS,
    *("webhook_url", "content_url", "error", "last_response", "external_id", "metadata"),
)
_NOT_NULL: Mapping[str, str] = {"script": "''", "title": "''", "render_version": "''"}
_CLEAR = (
    "UPDATE jobs SET version = version + 1, deleted_at = ?2, "
    + ", ".join(f"{name} = {_NOT_NULL.get(name, 'NULL')}" for name in _CONTENT)
    + " WHERE id = ?1"
)
# An event keeps its place, so that a client of the feed can continue after it.
_EMPTY_EVENTS = "UPDATE events SET body = ?2 WHERE job_id = ?1"


def delete(
    job_id: str,
    now: Instant,
    audit: AuditEntry | None = None,
    *,
    project: str | None = None,
) -> Operation[bool]:
    """Delete a job that has ended. Return False if it has not, or if it is in doubt.

    Raises `JobNotFoundError`.
    """
    owned, owner = of_project(project, 2)
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE id = ?1 AND deleted_at IS NULL{owned} /*pg FOR UPDATE */",
        (job_id, *owner),
    )
    if not rows:
        raise JobNotFoundError(job_id)
    job = job_of(rows[0])
    if not job.status.terminal or job.in_doubt_now:
        return False
    hashes = yield from files.of_job(job_id)
    yield Statement(_CLEAR, (job_id, now))
    yield Statement("DELETE FROM job_files WHERE job_id = ?1", (job_id,))
    yield from files.remove_unused(job.project, hashes, now)
    yield Statement("DELETE FROM deliveries WHERE job_id = ?1", (job_id,))
    yield Statement("DELETE FROM job_metadata WHERE job_id = ?1", (job_id,))
    yield Statement(_EMPTY_EVENTS, (job_id, b""))
    yield from trail.add_change(audit, job.project, job_facts(job), None)
    return True


def check_not_deleted(job_id: str) -> Operation[None]:
    """Raise `JobDeletedError` if a request would get a job that was deleted."""
    if (yield Statement("SELECT 1 FROM jobs WHERE id = ?1 AND deleted_at IS NOT NULL", (job_id,))):
        raise JobDeletedError(job_id)
