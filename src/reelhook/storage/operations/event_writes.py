"""Operations that store events."""

from reelhook.ports import Change
from reelhook.storage.operation import Operation, Statement

_INSERT = (
    "INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body, project,"
    " position) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
    " (SELECT coalesce(max(position), 0) + 1 FROM events))"
)


def add(change: Change) -> Operation[None]:
    """Store the events of a change, with their bodies, at the end of the feed."""
    for event, body in zip(change.events, change.bodies, strict=True):
        yield Statement(
            _INSERT,
            (
                event.id,
                event.job_id,
                event.sequence,
                event.kind.value,
                event.status.value,
                event.progress,
                event.occurred_at,
                body,
                change.job.project,
            ),
            last=True,
        )
