"""Operations that remove the data of closed projects, in small batches.

Nothing new can be stored in such a project, so an interrupted removal goes on where it stopped.
"""

from reelhook.domain.event import Instant
from reelhook.ports import DataRemoval
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import files, retention

_TO_EMPTY = (
    "SELECT id FROM projects WHERE delete_data AND closed_at IS NOT NULL"
    " AND data_deleted_at IS NULL ORDER BY closed_at, id"
)
# All unfinished jobs are fewer than those of a project, so its index is not used for them.
# A disabled endpoint is given up: its events would wait until somebody enables it.
_IN_USE = """
SELECT EXISTS (SELECT 1 FROM jobs WHERE project || '' = ?1
    AND status IN ('accepted', 'submitting', 'queued', 'processing'))
  OR EXISTS (SELECT 1 FROM jobs WHERE project = ?1
    AND code = 'submission_unknown' AND doubt_closed_at IS NULL)
  OR EXISTS (SELECT 1 FROM endpoints e JOIN deliveries d ON d.lane = e.lane AND d.endpoint_id = e.id
    WHERE e.project = ?1 AND e.disabled IS NULL AND e.deleted_at IS NULL AND d.due_at IS NOT NULL)
  OR EXISTS (SELECT 1 FROM notices n JOIN endpoints e ON e.id = n.endpoint_id
    WHERE e.project = ?1 AND e.disabled IS NULL AND e.deleted_at IS NULL AND n.due_at IS NOT NULL)
"""
_ENDPOINTS = """
DELETE FROM endpoints WHERE id IN (SELECT id FROM endpoints WHERE project = ?1 LIMIT ?2) RETURNING 1
"""
_EMPTIED = (
    "UPDATE projects SET secret = NULL, previous_secret = NULL, previous_until = NULL,"
    " webhook_url = NULL, data_deleted_at = ?2 WHERE id = ?1"
)


def to_empty() -> Operation[list[str]]:
    """Return the ids of the closed projects whose data is still to be removed."""
    return [row[0] for row in (yield Statement(_TO_EMPTY))]


def remove(project: str, now: Instant) -> Operation[DataRemoval]:
    """Remove one batch of a closed project's data."""
    rows = yield Statement(_IN_USE, (project,))
    if rows[0][0]:
        return DataRemoval.IN_USE
    if (yield from retention.jobs_of(project, now)):
        return DataRemoval.BEGUN
    if (yield Statement(_ENDPOINTS, (project, retention.ROWS_MAX))):
        return DataRemoval.BEGUN
    if (yield from files.remove_of_project(project)):
        return DataRemoval.BEGUN
    yield Statement("DELETE FROM resends WHERE project = ?1", (project,))
    yield Statement(_EMPTIED, (project, now))
    return DataRemoval.DONE
