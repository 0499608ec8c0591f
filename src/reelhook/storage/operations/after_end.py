"""Operations on jobs that have ended: their status stays, and few facts may still change."""

from reelhook.domain.archive import ArchivedFile
from reelhook.domain.endpoint import DEFAULT_FORMAT, lane_of, name_of
from reelhook.domain.event import Event, EventKind
from reelhook.ports import Change, Lease
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import archive, event_writes, late_checks
from reelhook.storage.operations.delivery_writes import add_body
from reelhook.storage.operations.endpoint_wakeups import wake
from reelhook.storage.operations.leases import holds
from reelhook.storage.operations.rows import events_of, state_writer

_WRITTEN = (
    *("id", "version", "sequence", "recovered_at", "content_url", "content_expires_at"),
    *("charged_amount", "charged_unit", "updated_at"),
)
_written_of = state_writer(_WRITTEN)
_ENDED = (
    " WHERE id = ?1 AND version = ?2 AND deleted_at IS NULL"
    " AND status IN ('completed', 'failed', 'canceled')"
)
_LOCKED = f"SELECT 1 FROM jobs{_ENDED} /*pg FOR UPDATE */"
_UPDATE = (
    "UPDATE jobs SET version = version + 1, "
    + ", ".join(f"{name} = ?{number}" for number, name in enumerate(_WRITTEN, 1) if number > 2)
    + f"{_ENDED} RETURNING 1"
)
# In the order of their ids, because other processes may lock endpoints too.
_ASKING = (
    "SELECT id, after_end_events, format FROM endpoints WHERE project = ?1 AND kind <> 'url'"
    " AND deleted_at IS NULL AND after_end_events IS NOT NULL ORDER BY id"
)
_FIRST = (
    "SELECT id FROM deliveries WHERE job_id = ?1 AND endpoint_id = ?2 AND resend_of IS NULL"
    " /*pg FOR KEY SHARE */"
)
_ADD = (
    "INSERT INTO deliveries (job_id, endpoint_id, lane, url, status_sequence, due_at, resend_of)"
    " VALUES (?1, ?2, ?3, '', ?4, ?5, ?6) RETURNING id"
)


def record(
    change: Change, file: ArchivedFile | None = None, lease: Lease | None = None
) -> Operation[bool]:
    """Write a change of a job that has ended; see `Recorder.record_after_end`."""
    job = change.job
    if not (yield Statement(_LOCKED, (job.id, job.version))) or not (yield from holds(lease)):
        return False
    if file is not None and not (yield from archive.record(file)):
        return False
    yield Statement(_UPDATE, _written_of(job))
    for event in change.events:
        if event.kind is EventKind.RECOVERED:
            yield from archive.enroll(job)
            yield from late_checks.recovered(job.id, change.bill)
        yield from _announce(change, event)
    yield from event_writes.add(change)
    return True


def _announce(change: Change, event: Event) -> Operation[None]:
    """Add a delivery of its own for each endpoint of the project that names the event.

    An endpoint that already has the job's other events gets it as a resend: it supersedes none of
    those that still wait.
    """
    rows = yield Statement(_ASKING, (change.job.project,))
    for endpoint_id, names, body_format in rows:
        if name_of(event) not in events_of(names):
            continue
        body = None
        if body_format != DEFAULT_FORMAT:
            body = change.other_body(body_format, event)
            if body is None:
                continue  # the format does not report it
        if not (yield from wake(endpoint_id, event.occurred_at)):
            continue  # it was deleted
        first = yield Statement(_FIRST, (event.job_id, endpoint_id))
        first_id = first[0][0] if first else None
        values = (event.job_id, endpoint_id, lane_of(endpoint_id))
        added = yield Statement(_ADD, (*values, event.sequence, event.occurred_at, first_id))
        if body is not None:
            yield add_body(first_id or added[0][0], event.sequence, body_format, body)
