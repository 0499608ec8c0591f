"""Operations for those who follow jobs."""

from collections.abc import Sequence

from reelhook.storage.operation import Operation, Statement, query, side_by_side


def last_position() -> Operation[int]:
    """Return the position of the feed's last event; 0 where there is none."""
    rows = yield Statement("SELECT coalesce(max(position), 0) FROM events")
    return int(rows[0][0])


def jobs_of_events_after(position: int, limit: int) -> Operation[list[tuple[int, str]]]:
    """Return position and job of the events behind this position, in order."""
    rows = yield Statement(
        "SELECT position, job_id FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
        (position, limit),
    )
    return [(row[0], row[1]) for row in rows]


def sequences(job_ids: Sequence[str]) -> Operation[dict[str, int]]:
    """Return the sequence of the last event of each of these jobs that there is."""
    found = yield from side_by_side(
        [query("SELECT sequence FROM jobs WHERE id = ?1", (job_id,)) for job_id in job_ids]
    )
    return {job_id: rows[0][0] for job_id, rows in zip(job_ids, found, strict=True) if rows}
