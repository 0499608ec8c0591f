"""The check that a project still takes new jobs and endpoints."""

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.conflicts import ProjectClosedError
from reelhook.storage.operation import Operation, Statement

_STATE = "SELECT closed_at, webhook_url FROM projects WHERE id = ?1"


def check_open(project: str) -> Operation[str | None]:
    """Return the project's webhook URL, if it has one. Raises `ProjectClosedError`.

    Nothing is read for `default`: it is never closed, and its URL is a setting.
    """
    if project == DEFAULT_PROJECT:
        return None
    for closed_at, webhook_url in (yield Statement(_STATE, (project,))):
        if closed_at is not None:
            raise ProjectClosedError(project)
        return str(webhook_url) if webhook_url is not None else None
    return None
