"""Operations that read what happened lately. Each looks at a bounded number of rows."""

from reelhook.domain.event import Instant
from reelhook.domain.job import Status
from reelhook.ports import AttemptTally, JobTally, Lag, LatestEvent, RenderTime
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations.ownership import of_project

_UNFINISHED = tuple(status.value for status in Status if not status.terminal)
_HOUR = 3_600_000
_RECENT_ATTEMPTS = 200
"""The newest attempts among which the last success is looked for."""


_RECENT_EVENTS = 1000
"""The newest events among which changes of status are looked for."""


def _steered(project: str | None, number: int) -> tuple[str, list[str]]:
    """Return the condition of a project, so that its index is not the one that is used.

    A project may have any number of jobs that ended; all unfinished jobs are few.
    """
    if project is None:
        return "", []
    return f" AND project IN (?{number}, ?{number})", [project]


def unfinished_counts(most: int, project: str | None = None) -> Operation[dict[str, int]]:
    """Return the number of jobs of each status that is not terminal, counted up to `most`."""
    owned, owner = _steered(project, 3)
    counts = yield from concurrently(
        [
            query(
                f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE status = ?1{owned} LIMIT ?2) AS c",
                (status, most, *owner),
            )
            for status in _UNFINISHED
        ]
    )
    return {status: int(rows[0][0]) for status, rows in zip(_UNFINISHED, counts, strict=True)}


def oldest_unfinished(project: str | None = None) -> Operation[Instant | None]:
    """Return the time at which the oldest unfinished job was created."""
    owned, owner = _steered(project, 2)
    found = yield from concurrently(
        [
            query(
                f"SELECT created_at FROM jobs WHERE status = ?1{owned}"
                " ORDER BY created_at, id LIMIT 1",
                (status, *owner),
            )
            for status in _UNFINISHED
        ]
    )
    return min((rows[0][0] for rows in found if rows), default=None)


def deliveries_due(most: int, project: str | None = None) -> Operation[int]:
    """Return the number of deliveries with something to send, counted up to `most`."""
    owned, owner = of_project(project, 2)
    of_endpoint = (
        f" AND EXISTS (SELECT 1 FROM endpoints e WHERE e.id = d.endpoint_id{owned})"
        if owned
        else ""
    )
    rows = yield Statement(
        "SELECT count(*) FROM (SELECT 1 FROM deliveries d WHERE d.due_at IS NOT NULL"
        f"{of_endpoint} LIMIT ?1) AS counted",
        (most, *owner),
    )
    return int(rows[0][0])


def job_tallies(since: Instant, most: int, project: str | None = None) -> Operation[list[JobTally]]:
    """Return the numbers of the newest jobs, at most `most`, that were created since then."""
    owned, owner = of_project(project, 3)
    rows = yield Statement(
        f"SELECT hour, provider, model, status, code, count(*) FROM (SELECT"
        f" (created_at - ?1) / {_HOUR} AS hour, provider, model, status,"
        f" coalesce(code, '') AS code FROM jobs WHERE created_at >= ?1{owned}"
        " ORDER BY created_at DESC, id DESC LIMIT ?2) AS recent"
        " GROUP BY hour, provider, model, status, code",
        (since, most, *owner),
    )
    return [JobTally(*row) for row in rows]


def attempt_tallies(
    since: Instant, most: int, project: str | None = None
) -> Operation[list[AttemptTally]]:
    """Return the numbers of the newest attempts, at most `most`, that began since then."""
    owned, owner = of_project(project, 3)
    of_endpoint = (
        f" AND d.endpoint_id IN (SELECT id FROM endpoints WHERE TRUE{owned})" if owned else ""
    )
    rows = yield Statement(
        f"SELECT (a.started_at - ?1) / {_HOUR} AS hour, d.endpoint_id,"
        " CASE WHEN a.http_status BETWEEN 200 AND 299 THEN 1 ELSE 0 END AS good, count(*) FROM"
        " (SELECT delivery_id, started_at, http_status FROM attempts ORDER BY id DESC"
        " LIMIT ?2) AS a"
        f" JOIN deliveries d ON d.id = a.delivery_id WHERE a.started_at >= ?1{of_endpoint}"
        " GROUP BY 1, 2, 3",
        (since, most, *owner),
    )
    return [AttemptTally(hour, endpoint, bool(good), count) for hour, endpoint, good, count in rows]


def latest_render_times(most: int, project: str | None = None) -> Operation[list[RenderTime]]:
    """Return the times of the newest completed jobs."""
    owned, owner = _steered(project, 2)
    rows = yield Statement(
        "SELECT provider, model, updated_at - accepted_at FROM jobs WHERE status = 'completed'"
        f" AND accepted_at IS NOT NULL{owned} ORDER BY created_at DESC, id DESC LIMIT ?1",
        (most, *owner),
    )
    return [RenderTime(*row) for row in rows]


def webhook_lags(most: int, project: str | None = None) -> Operation[list[Lag]]:
    """Return the times of the first attempts that succeeded among the newest attempts."""
    owned, owner = of_project(project, 2)
    of_event = f" AND e.project = ?{2}" if owned else ""
    rows = yield Statement(
        "SELECT d.endpoint_id, a.started_at + a.duration_ms - e.occurred_at FROM"
        " (SELECT delivery_id, event_id, started_at, duration_ms, http_status FROM attempts"
        " ORDER BY id DESC LIMIT ?1) AS a JOIN deliveries d ON d.id = a.delivery_id"
        " JOIN events e ON e.id = a.event_id"
        f" WHERE a.http_status BETWEEN 200 AND 299 AND d.resend_of IS NULL{of_event}",
        (most, *owner),
    )
    return [Lag(*row) for row in rows]


def last_arrival(project: str | None = None) -> Operation[Instant | None]:
    """Return the time of the newest attempt that succeeded, if that is a recent one."""
    owned, owner = of_project(project, 2)
    of_endpoint = (
        " AND delivery_id IN (SELECT d.id FROM deliveries d JOIN endpoints e ON e.id ="
        f" d.endpoint_id WHERE d.id = delivery_id{owned.replace('project', 'e.project')})"
        if owned
        else ""
    )
    rows = yield Statement(
        "SELECT max(started_at + duration_ms) FROM (SELECT * FROM attempts ORDER BY id DESC"
        f" LIMIT ?1) AS a WHERE http_status BETWEEN 200 AND 299{of_endpoint}",
        (_RECENT_ATTEMPTS, *owner),
    )
    return None if rows[0][0] is None else int(rows[0][0])


def latest_events(limit: int, project: str | None = None) -> Operation[list[LatestEvent]]:
    """Return the latest changes of status among the newest events, newest first."""
    owned, owner = of_project(project, 3)
    rows = yield Statement(
        "SELECT e.id, e.job_id, e.kind, e.status, e.progress, e.occurred_at, e.project, j.title"
        " FROM (SELECT * FROM events WHERE position IS NOT NULL AND length(body) > 0"
        f"{owned} ORDER BY position DESC LIMIT ?2) AS e JOIN jobs j ON j.id = e.job_id"
        " WHERE e.kind <> 'progress' ORDER BY e.position DESC LIMIT ?1",
        (limit, _RECENT_EVENTS, *owner),
    )
    return [LatestEvent(*row) for row in rows]
