"""Operations on projects. `default` has a row only once something of it is set."""

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.project import DEFAULT, Project
from reelhook.storage.operation import Operation, Statement

_COLUMNS = tuple(field.name for field in fields(Project))
_PROJECT = ", ".join(_COLUMNS)
_ONE = (
    f"SELECT {_PROJECT} FROM projects WHERE (id = ?1 OR name = ?1)"
    " AND (CAST(?2 AS TEXT) IS NULL OR id = ?2)"
)


def project(id_or_name: str, *, seen_by: str | None = None) -> Operation[Project | None]:
    """Return a project, or None. With `seen_by`, only that project exists."""
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


def _project_of(row: Sequence[Any]) -> Project:
    named = dict(zip(_COLUMNS, row, strict=True))
    models = named["models"]
    written = {
        "models": None if models is None else tuple(json.loads(models)),
        "delete_data": bool(named["delete_data"]),
    }
    return Project(**named | written)
