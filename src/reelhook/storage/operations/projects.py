"""Operations on projects. `default` has a row only once something of it is set."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

from reelhook.domain.audit import AuditEntry
from reelhook.domain.audit_facts import project_facts
from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.conflicts import ProjectNameTakenError
from reelhook.domain.endpoint import Endpoint, EndpointKind, default_id
from reelhook.domain.errors import ProjectNotFoundError
from reelhook.domain.event import Instant
from reelhook.domain.project import DEFAULT, Project, may_exist
from reelhook.ports import Destination, NewJob
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import audit as trail
from reelhook.storage.operations import endpoint_writes
from reelhook.storage.operations.new_deliveries import EXCLUDE_NEW_JOBS
from reelhook.storage.operations.open_projects import check_open

_COLUMNS = tuple(field.name for field in fields(Project))
_PROJECT = ", ".join(_COLUMNS)
_ONE = (
    f"SELECT {_PROJECT} FROM projects WHERE (id = ?1 OR name = ?1)"
    " AND (CAST(?2 AS TEXT) IS NULL OR id = ?2)"
)
_VALUES = ", ".join(f"?{number}" for number in range(1, len(_COLUMNS) + 1))
_INSERT = f"INSERT INTO projects ({_PROJECT}) VALUES ({_VALUES})"
_SET = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])
_SAVE = f"{_INSERT} ON CONFLICT (id) DO UPDATE SET {_SET}"
_NAMESAKE = "SELECT 1 FROM projects WHERE name = ?1 AND id <> ?2"
_PROJECTS_LOCK = 7_311_482_097
# One change at a time, since a name is looked up before it is stored.
_ONLY_CHANGE = Statement(f"SELECT 1 /*pg FROM pg_advisory_xact_lock({_PROJECTS_LOCK}) */")


def project(id_or_name: str, *, seen_by: str | None = None) -> Operation[Project | None]:
    """Return a project, or None. With `seen_by`, only that project exists."""
    if not may_exist(id_or_name):
        return None
    rows = yield Statement(_ONE, (id_or_name, seen_by))
    if rows:
        return _project_of(rows[0])
    return DEFAULT if id_or_name == DEFAULT_PROJECT and seen_by in {None, id_or_name} else None


def listed() -> Operation[list[Project]]:
    """Return all projects: `default`, then the others, oldest first."""
    rows = yield Statement(f"SELECT {_PROJECT} FROM projects ORDER BY created_at, id")
    found = {row[0]: _project_of(row) for row in rows}
    default = found.pop(DEFAULT_PROJECT, DEFAULT)
    return [default, *found.values()]


def create(project: Project, audit: AuditEntry | None = None) -> Operation[None]:
    """Store a new project. Raises `ProjectNameTakenError`."""
    yield _ONLY_CHANGE
    yield from _write(_INSERT, project)
    yield from trail.add_change(audit, project.id, None, project_facts(project))


def change(
    id_or_name: str,
    change: Callable[[Project], Project],
    now: Instant,
    audit: AuditEntry | None = None,
    *,
    trusted: bool = False,
    seen_by: str | None = None,
    by_operator: bool = True,
    plain: Callable[[Project], Project] = lambda stored: stored,
) -> Operation[Project]:
    """Change a project; see `ProjectStore.change_project`.

    `plain` decrypts its secrets, to see which of them have changed.
    """
    yield _ONLY_CHANGE
    before = yield from project(id_or_name, seen_by=seen_by)
    if before is None:
        raise ProjectNotFoundError(id_or_name)
    after = change(before)
    if after.closed_at != before.closed_at:
        yield EXCLUDE_NEW_JOBS
    if after != before:
        yield from _write(_SAVE, after)
        entry = audit and replace(audit, target=after.id)  # the caller may have used its name
        facts = (project_facts(plain(state)) for state in (before, after))
        yield from trail.add_change(entry, after.id, *facts)
    if after.webhook_url is not None and (trusted or after.webhook_url != before.webhook_url):
        endpoint = _default_endpoint(after, now, trusted=trusted)
        yield from endpoint_writes.keep_default(endpoint, by_operator=by_operator)
    return after


def _default_endpoint(project: Project, now: Instant, *, trusted: bool) -> Endpoint:
    return Endpoint(
        default_id(project.id),
        EndpointKind.DEFAULT,
        project.webhook_url or "",
        trusted=trusted,
        created_at=now,
        project=project.id,
    )


def _write(statement: str, project: Project) -> Operation[None]:
    if (yield Statement(_NAMESAKE, (project.name, project.id))):
        raise ProjectNameTakenError(project.name)
    models = None if project.models is None else json.dumps(project.models)
    values = [models if name == "models" else getattr(project, name) for name in _COLUMNS]
    yield Statement(statement, values)


def destinations(new: NewJob) -> Operation[tuple[Destination, ...]]:
    """Return the destinations of a new job: its own, or else its project's default endpoint.

    The endpoint of `default` is a setting, so it is among the job's own. A job that adopts another
    one's video keeps that one's destinations, and may be created in a closed project. Raises
    `ProjectClosedError`. Needs the lock of new jobs, which excludes the closing of a project.
    """
    project = new.job.project
    if new.job.adopted_from is not None:
        return new.destinations
    webhook_url = yield from check_open(project)
    if webhook_url is not None and not new.destinations:
        return (Destination(default_id(project)),)
    return new.destinations


def _project_of(row: Sequence[Any]) -> Project:
    named = dict(zip(_COLUMNS, row, strict=True))
    models = named["models"]
    written = {
        "models": None if models is None else tuple(json.loads(models)),
        "delete_data": bool(named["delete_data"]),
    }
    return Project(**named | written)
