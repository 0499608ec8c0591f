"""Operations on the audit trail."""

import json
from dataclasses import replace
from typing import Any

from reelhook.domain.audit import Action, AuditEntry, Facts, Shown
from reelhook.domain.caller import Actor
from reelhook.ports import AuditFilter, AuditPage
from reelhook.storage.operation import Operation, Row, Statement

_COLUMNS = "at, project, actor, key_id, key_name, address, action, target, before, after"
_ADD = f"INSERT INTO audit ({_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"


def add(entry: AuditEntry) -> Operation[None]:
    """Add an entry, in the transaction of the change that it is about."""
    yield Statement(
        _ADD,
        (
            entry.at,
            entry.project,
            entry.actor.value,
            entry.key_id,
            entry.key_name,
            entry.address,
            entry.action.value,
            entry.target,
            _text(entry.before),
            _text(entry.after),
        ),
    )


def add_change(
    entry: AuditEntry | None, project: str, before: Facts | None, after: Facts | None
) -> Operation[None]:
    """Add the entry of a change with what differs, unless nothing does. `project` is the target's.

    None as the entry: no caller made the change.
    """
    if entry is None:
        return
    changed = replace(entry, project=project).changing(before, after)
    if not changed.empty:
        yield from add(changed)


def page(wanted: AuditFilter, limit: int, cursor: int | None) -> Operation[AuditPage]:
    """Return a page of entries, newest first; the cursor is the last entry's id."""
    clauses, parameters = ["TRUE"], list[Any]([limit + 1])
    for clause, value in (
        ("project = ?", wanted.project),
        ("action = ?", None if wanted.action is None else wanted.action.value),
        ("target = ?", wanted.target),
        ("at >= ?", wanted.since),
        ("id < ?", cursor),
    ):
        if value is not None:
            parameters.append(value)
            clauses.append(f"{clause}{len(parameters)}")
    rows = yield Statement(
        f"SELECT id, {_COLUMNS} FROM audit WHERE {' AND '.join(clauses)} ORDER BY id DESC LIMIT ?1",
        parameters,
    )
    entries = tuple((row[0], _entry(row[1:])) for row in rows[:limit])
    return AuditPage(entries, entries[-1][0] if len(rows) > limit else None)


def _entry(row: Row) -> AuditEntry:
    at, project, actor, key_id, key_name, address, action, target, before, after = row
    return AuditEntry(
        at,
        project,
        Actor(actor),
        key_id,
        key_name,
        address,
        Action(action),
        target,
        _shown(before),
        _shown(after),
    )


def _text(shown: Shown | None) -> str | None:
    return None if shown is None else json.dumps(shown, ensure_ascii=False)


def _shown(text: str | None) -> Shown | None:
    if text is None:
        return None
    fields = json.loads(text).items()
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields}
