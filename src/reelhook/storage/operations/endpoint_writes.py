"""Operations that change endpoints."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reelhook.domain.audit import AuditEntry
from reelhook.domain.audit_facts import endpoint_facts
from reelhook.domain.delivery import UndeliveredReason
from reelhook.domain.endpoint import Endpoint, lane_of
from reelhook.domain.event import Instant
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import audit as trail
from reelhook.storage.operations.endpoint_reads import ONE_ENDPOINT, found
from reelhook.storage.operations.endpoint_wakeups import release, rest_until_probe
from reelhook.storage.operations.new_deliveries import EXCLUDE_NEW_JOBS, follow_running
from reelhook.storage.operations.open_projects import check_open
from reelhook.storage.operations.rows import (
    ENDPOINT,
    ENDPOINT_COLUMNS,
    HEALTH_COLUMNS,
    endpoint_values,
    health_values,
)

_COLUMNS = (*ENDPOINT_COLUMNS, *HEALTH_COLUMNS)
_VALUES = ", ".join(f"?{number}" for number in range(1, len(_COLUMNS) + 2))
_INSERT = f"INSERT INTO endpoints ({', '.join(_COLUMNS)}, lane) VALUES ({_VALUES})"
_SET = ", ".join(f"{name} = ?{number}" for number, name in enumerate(_COLUMNS[1:], start=2))
_REPLACE = f"UPDATE endpoints SET {_SET} WHERE id = ?1"
_HEALTH_SET = ", ".join(f"{name} = ?{number}" for number, name in enumerate(HEALTH_COLUMNS, 5))
# A decision of the operator in the meantime wins: a disabled endpoint stays disabled, and one whose
# health was reset does not get back the result of an attempt that began before.
_CHANGE_HEALTH = (
    f"{_HEALTH_SET}, disabled = coalesce(disabled, ?2), disabled_at = coalesce(disabled_at, ?3)"
    " WHERE id = ?1 AND health_version = ?4"
)
_SAVE_HEALTH = f"UPDATE endpoints SET {_CHANGE_HEALTH}"
_KEEP_OPEN = (
    f"UPDATE endpoints SET next_at = ?{5 + HEALTH_COLUMNS.index('probe_due_at')}, {_CHANGE_HEALTH}"
)
# Another process may change the same endpoint, so a row that is written back is locked first. New
# events hold the key's lock: they need not wait for a change, only for a deletion.
_LOCKED_FOR_CHANGE = f"{ONE_ENDPOINT} /*pg FOR NO KEY UPDATE */"
_DEFAULT_LOCKED = f"SELECT {ENDPOINT} FROM endpoints e WHERE e.id = ?1 /*pg FOR NO KEY UPDATE */"
_LOCKED_FOR_DELETION = f"{ONE_ENDPOINT} /*pg FOR UPDATE */"
_WAKE_NOW = "UPDATE endpoints SET next_at = 0 WHERE id = ?1"
# Events that wait for a deleted endpoint will not arrive.
_DROP_WAITING = """
INSERT INTO undelivered (delivery_id, sequence, fate, at)
SELECT id, status_sequence, ?4, CAST(?3 AS BIGINT) FROM deliveries
WHERE lane = ?2 AND endpoint_id = ?1 AND due_at IS NOT NULL AND status_sequence IS NOT NULL
UNION ALL
SELECT id, progress_sequence, ?4, CAST(?3 AS BIGINT) FROM deliveries
WHERE lane = ?2 AND endpoint_id = ?1 AND due_at IS NOT NULL AND progress_sequence IS NOT NULL
"""


def create(endpoint: Endpoint, audit: AuditEntry | None = None) -> Operation[None]:
    """Store a new endpoint. One that gets every job's events starts with the unfinished jobs.

    Raises `ProjectClosedError`.
    """
    yield from check_open(endpoint.project)
    if endpoint.broadcast:
        yield EXCLUDE_NEW_JOBS
    yield Statement(_INSERT, (*endpoint_values(endpoint), lane_of(endpoint.id)))
    if endpoint.broadcast:
        yield from follow_running(endpoint.id, endpoint.project)
    yield from trail.add_change(audit, endpoint.project, None, endpoint_facts(endpoint))


def change(
    endpoint_id: str,
    change: Callable[[Endpoint], Endpoint],
    audit: AuditEntry | None = None,
    *,
    project: str | None = None,
    plain: Callable[[Endpoint], Endpoint] = lambda stored: stored,
) -> Operation[Endpoint]:
    """Change an endpoint. One that now gets every job's events starts with the unfinished jobs.

    `plain` decrypts its secrets, to see which of them have changed.
    """
    before = found(endpoint_id, (yield Statement(_LOCKED_FOR_CHANGE, (endpoint_id, project))))
    after = change(before)
    if after.broadcast and not before.broadcast:
        yield EXCLUDE_NEW_JOBS
        yield from follow_running(after.id, after.project)
    if after is not before:
        yield from _replace(before, after)
        facts = (endpoint_facts(plain(state)) for state in (before, after))
        yield from trail.add_change(audit, after.project, *facts)
    return after


def probe_again(endpoint_id: str, now: Instant) -> Operation[None]:
    """Probe a job's own URL that was disabled as failing, because there is a new event for it."""
    yield from change(endpoint_id, lambda endpoint: endpoint.retry_for_new_event(now))


def _replace(before: Endpoint, after: Endpoint) -> Operation[None]:
    yield Statement(_REPLACE, endpoint_values(after))
    if before.disabled_at is not None and after.disabled is None:
        yield from release(after.id, before.disabled_at)
    if (before.disabled, before.health) != (after.disabled, after.health):
        yield Statement(_WAKE_NOW, (after.id,))


def delete(
    endpoint_id: str,
    now: Instant,
    audit: AuditEntry | None = None,
    *,
    project: str | None = None,
) -> Operation[None]:
    """End an endpoint and all its deliveries."""
    yield EXCLUDE_NEW_JOBS
    before = found(endpoint_id, (yield Statement(_LOCKED_FOR_DELETION, (endpoint_id, project))))
    yield from trail.add_change(audit, before.project, endpoint_facts(before), None)
    yield Statement(
        "UPDATE endpoints SET deleted_at = ?2, broadcast = FALSE, secret = NULL,"
        " previous_secret = NULL, headers = NULL WHERE id = ?1",
        (endpoint_id, now),
    )
    yield Statement(
        _DROP_WAITING, (endpoint_id, lane_of(endpoint_id), now, UndeliveredReason.GONE.value)
    )
    yield Statement(
        "UPDATE deliveries SET ended = TRUE, due_at = NULL, status_sequence = NULL,"
        " progress_sequence = NULL, terminal_at = NULL WHERE endpoint_id = ?1",
        (endpoint_id,),
    )


def keep_default(endpoint: Endpoint, *, by_operator: bool = True) -> Operation[None]:
    """Store a project's default endpoint. A changed URL starts with clean health.

    Raises `InvalidRequestError` if someone other than the operator would send the stored values of
    headers to another server.
    """
    # Two processes may start at the same time.
    yield Statement(
        f"{_INSERT} ON CONFLICT (id) DO NOTHING", (*endpoint_values(endpoint), lane_of(endpoint.id))
    )
    known = found(endpoint.id, (yield Statement(_DEFAULT_LOCKED, (endpoint.id,))))
    if known.url != endpoint.url:
        if not by_operator:
            known.check_headers_stay(endpoint.url, None)
        yield from _replace(known, replace(known.moved(endpoint.url), trusted=endpoint.trusted))
        yield from release(known.id, endpoint.created_at)
    elif endpoint.trusted and not known.trusted:
        yield from _replace(known, replace(known, trusted=True))


def save_health(endpoint: Endpoint) -> Operation[None]:
    """Store an endpoint's health, and nothing else of it."""
    yield Statement(_SAVE_HEALTH, _health_of(endpoint))


def keep_open(endpoint: Endpoint) -> Operation[None]:
    """Store the health of an endpoint whose breaker stays open. It rests until its next probe."""
    yield Statement(_KEEP_OPEN, _health_of(endpoint))
    if endpoint.health.probe_due_at is not None:
        yield from rest_until_probe(endpoint.id, endpoint.health.probe_due_at)


def _health_of(endpoint: Endpoint) -> tuple[Any, ...]:
    disabled = None if endpoint.disabled is None else endpoint.disabled.value
    fence = (disabled, endpoint.disabled_at, endpoint.health_version)
    return (endpoint.id, *fence, *health_values(endpoint.health))
