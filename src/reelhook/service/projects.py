"""The use cases for projects: create, read, change and close them, and rotate their secrets."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TypedDict

from reelhook.core.wakeups import Signals
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import DEFAULT_PROJECT, Caller, Scope
from reelhook.domain.conflicts import (
    DefaultProjectError,
    InstallationSecretError,
    ProjectClosedError,
)
from reelhook.domain.endpoint import DEFAULT_ENDPOINT
from reelhook.domain.errors import CommitUnknownError, ProjectNotFoundError
from reelhook.domain.ids import new_id
from reelhook.domain.project import (
    PROJECT_ID_PREFIX,
    Project,
    check_archive_limits,
    check_limits,
    check_models,
    check_name,
)
from reelhook.domain.signature import new_secret
from reelhook.ports import Clock, ProjectStore


class ProjectFields(TypedDict, total=False):
    """The fields of a `Project` that a caller may choose. Those left out stay as they are."""

    name: str
    webhook_url: str | None
    models: tuple[str, ...] | None
    weight: int
    priority_max: int
    archive_keep_days: float | None
    archive_bytes_max: int | None


_OPERATORS = frozenset(
    {"models", "weight", "priority_max", "archive_keep_days", "archive_bytes_max"}
)
"""The fields that limit a project, so only the operator may change them."""
_OF_DEFAULT = frozenset({"name", "webhook_url"})
"""The fields that `default` does not have: it keeps its name, and a setting has its URL."""


class Projects:
    """The projects, over one store.

    After a rotation, a previous secret also signs for `overlap_hours`.
    """

    def __init__(
        self,
        store: ProjectStore,
        signals: Signals,
        *,
        overlap_hours: float,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._signals = signals
        self._overlap_hours = overlap_hours
        self._clock = clock
        self._random = random

    async def create(self, caller: Caller, name: str) -> Project:
        """Store a new project, with a signing secret. Not idempotent.

        Raises `InvalidRequestError` for a malformed name, or `ProjectNameTakenError`.
        """
        caller.require(Scope.OPERATOR)
        check_name(name)
        now = self._clock.now()
        project = Project(
            id=new_id(PROJECT_ID_PREFIX, now, self._random),
            name=name,
            created_at=now,
            secret=new_secret(self._random),
        )
        try:
            entry = AuditEntry.by(caller, now, Action.PROJECT_CREATED, project.id, project.id)
            await self._store.create_project(project, entry)
        except CommitUnknownError as error:
            raise error.naming(project=project.id) from error
        return project

    async def all(self, caller: Caller) -> list[Project]:
        """Return all projects: `default`, then the others, oldest first."""
        caller.require(Scope.OPERATOR)
        return await self._store.projects()

    async def one(self, caller: Caller, id_or_name: str) -> Project:
        """Return one project. Raises `ProjectNotFoundError`, also for one that is not seen."""
        caller.require(Scope.ADMIN)
        found = await self._store.project(id_or_name, seen_by=caller.sees)
        if found is None:
            raise ProjectNotFoundError(id_or_name)
        return found

    async def change(
        self, caller: Caller, id_or_name: str, fields: ProjectFields, *, trusted: bool = False
    ) -> Project:
        """Change the given fields. `trusted`: the operator chose the webhook URL.

        Only the operator may change its limits. Raises
        `ProjectNotFoundError`, `InvalidRequestError`, `ProjectClosedError`, `ProjectNameTakenError`
        or `DefaultProjectError`.
        """
        caller.require(Scope.ADMIN)
        if _OPERATORS & fields.keys():
            caller.require(Scope.OPERATOR)
        if "name" in fields:
            check_name(fields["name"])
        if (models := fields.get("models")) is not None:
            check_models(models)
        check_limits(fields.get("weight"), fields.get("priority_max"))
        check_archive_limits(fields.get("archive_keep_days"), fields.get("archive_bytes_max"))

        def changed(project: Project) -> Project:
            if project.id == DEFAULT_PROJECT and _OF_DEFAULT & fields.keys():
                raise DefaultProjectError
            return replace(_open(project), **fields)

        action = Action.PROJECT_CHANGED
        return await self._change(caller, id_or_name, changed, action, trusted=trusted)

    async def rotate(
        self,
        caller: Caller,
        id_or_name: str,
        secret: str | None = None,
        overlap_hours: float | None = None,
    ) -> Project:
        """Sign with a new secret, and with the previous one too for `overlap_hours`.

        Raises `ProjectNotFoundError`, `ProjectClosedError`, or `InstallationSecretError` for
        `default`.
        """
        caller.require(Scope.ADMIN)
        now, new = self._clock.now(), secret or new_secret(self._random)
        hours = self._overlap_hours if overlap_hours is None else overlap_hours

        def rotated(project: Project) -> Project:
            if project.id == DEFAULT_PROJECT:
                raise InstallationSecretError(DEFAULT_ENDPOINT)
            return _open(project).rotated(new, now, round(hours * 3_600_000))

        return await self._change(caller, id_or_name, rotated, Action.PROJECT_ROTATED)

    async def close(self, caller: Caller, id_or_name: str, *, delete_data: bool = False) -> Project:
        """Stop the project's keys, and accept no new jobs in it. Running jobs go on to their end.

        `delete_data`: when all of them have ended and their webhooks were sent, its jobs, endpoints
        and secrets are removed. Raises `ProjectNotFoundError` or `DefaultProjectError`.
        """
        caller.require(Scope.OPERATOR)
        now = self._clock.now()

        def closed(project: Project) -> Project:
            if project.id == DEFAULT_PROJECT:
                raise DefaultProjectError
            return project.closed(now, delete_data=delete_data)

        try:
            return await self._change(caller, id_or_name, closed, Action.PROJECT_CLOSED)
        finally:
            self._signals.closed_projects.publish()

    async def _change(
        self,
        caller: Caller,
        id_or_name: str,
        change: Callable[[Project], Project],
        action: Action,
        *,
        trusted: bool = False,
    ) -> Project:
        """Change a project, and make every process read endpoints again afterwards."""
        now = self._clock.now()
        entry = AuditEntry.by(caller, now, action, id_or_name, None)
        try:
            return await self._store.change_project(
                id_or_name,
                change,
                now,
                entry,
                trusted=trusted,
                seen_by=caller.sees,
                by_operator=caller.allows(Scope.OPERATOR),
            )
        except CommitUnknownError as error:
            raise error.naming(project=id_or_name) from error
        finally:
            self._signals.endpoints.publish()


def _open(project: Project) -> Project:
    if project.closed_at is not None:
        raise ProjectClosedError(project.id)
    return project
