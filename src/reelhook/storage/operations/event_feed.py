"""Operations on the feed: the events of all jobs in the order in which they were written."""

from collections.abc import Sequence

from reelhook.domain.errors import UnknownEventIdError
from reelhook.domain.event import is_event_id
from reelhook.ports import EventPage, StoredEvent
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations.ownership import of_project


def events_after(
    event_id: str | None, limit: int, project: str | None = None
) -> Operation[EventPage]:
    """Return events of all jobs in the order of the feed, or of the jobs of one project.

    If the event is no longer stored, the page starts with the oldest stored one: a client that was
    up to date may come back after a quiet month.
    """
    position, restarted = 0, False
    if event_id is not None:
        if not is_event_id(event_id):
            raise UnknownEventIdError
        owned, owner = of_project(project, 2)
        rows = yield Statement(
            f"SELECT position FROM events WHERE id = ?1{owned}", (event_id, *owner)
        )
        position, restarted = (rows[0][0], False) if rows else (0, True)
    owned, owner = of_project(project, 3)
    rows = yield Statement(
        "SELECT id, job_id, sequence, body, project FROM events"
        f" WHERE position > ?1 AND length(body) > 0{owned}"
        " ORDER BY position LIMIT ?2",
        (position, limit + 1, *owner),
    )
    events = [StoredEvent(*row) for row in rows[:limit]]
    return EventPage(events, len(rows) > limit, restarted)


def last_position() -> Operation[int]:
    """Return the position of the feed's last event; 0 if there is none."""
    rows = yield Statement("SELECT coalesce(max(position), 0) FROM events")
    return int(rows[0][0])


def jobs_of_events_after(position: int, limit: int) -> Operation[list[tuple[int, str]]]:
    """Return the position and the job of each event after this position, in order."""
    rows = yield Statement(
        "SELECT position, job_id FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
        (position, limit),
    )
    return [(row[0], row[1]) for row in rows]


def sequences(job_ids: Sequence[str], project: str | None = None) -> Operation[dict[str, int]]:
    """Return the sequence of each job's last event. Jobs that don't exist are left out."""
    owned, owner = of_project(project, 2)
    found = yield from concurrently(
        [
            query(
                f"SELECT sequence FROM jobs WHERE id = ?1 AND deleted_at IS NULL{owned}",
                (job_id, *owner),
            )
            for job_id in job_ids
        ]
    )
    return {job_id: rows[0][0] for job_id, rows in zip(job_ids, found, strict=True) if rows}
