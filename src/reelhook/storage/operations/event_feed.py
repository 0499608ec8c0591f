"""Operations on the feed: the events of all jobs in the order in which they were written."""

from collections.abc import Sequence

from reelhook.domain.errors import UnknownEventIdError
from reelhook.domain.event import is_event_id
from reelhook.ports import EventPage, StoredEvent
from reelhook.storage.operation import Operation, Statement, concurrently, query


def events_after(event_id: str | None, limit: int) -> Operation[EventPage]:
    """Return events of all jobs in the order of the feed.

    If the event is no longer stored, the page starts with the oldest stored one: a client that was
    up to date may come back after a quiet month.
    """
    position, restarted = 0, False
    if event_id is not None:
        if not is_event_id(event_id):
            raise UnknownEventIdError
        rows = yield Statement("SELECT position FROM events WHERE id = ?1", (event_id,))
        position, restarted = (rows[0][0], False) if rows else (0, True)
    rows = yield Statement(
        "SELECT id, job_id, sequence, body FROM events WHERE position > ?1"
        " ORDER BY position LIMIT ?2",
        (position, limit + 1),
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


def sequences(job_ids: Sequence[str]) -> Operation[dict[str, int]]:
    """Return the sequence of each job's last event. Jobs that don't exist are left out."""
    found = yield from concurrently(
        [query("SELECT sequence FROM jobs WHERE id = ?1", (job_id,)) for job_id in job_ids]
    )
    return {job_id: rows[0][0] for job_id, rows in zip(job_ids, found, strict=True) if rows}
