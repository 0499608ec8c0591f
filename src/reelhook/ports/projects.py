"""Port to stored projects."""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from reelhook.domain.audit import AuditEntry
from reelhook.domain.event import Instant
from reelhook.domain.project import Project


class ProjectReads(Protocol):
    """Reads projects. `default` is always found, although it may have no row."""

    async def project(self, id_or_name: str, *, seen_by: str | None = None) -> Project | None:
        """Return a project, or None if it does not exist.

        With `seen_by`, only that project exists.
        """
        ...

    async def projects(self) -> list[Project]:
        """Return all projects: `default`, then the others, oldest first."""
        ...


class ProjectStore(ProjectReads, Protocol):
    """Stores projects. `audit` is the entry of a change that a caller made."""

    async def create_project(self, project: Project, audit: AuditEntry | None = None) -> None:
        """Store a new project. Raises `ProjectNameTakenError`."""
        ...

    async def change_project(
        self,
        id_or_name: str,
        change: Callable[[Project], Project],
        now: Instant,
        audit: AuditEntry | None = None,
        *,
        trusted: bool = False,
        seen_by: str | None = None,
        by_operator: bool = True,
    ) -> Project:
        """Change a project in one transaction, and return the result.

        A webhook URL gets a default endpoint; `trusted`: the operator chose the URL. Only
        `by_operator` may the stored values of its headers go to another server. `change` must be
        pure: it may be called more than once, and in another thread. Raises `ProjectNotFoundError`,
        `ProjectNameTakenError` or `InvalidRequestError`.
        """
        ...


class DataRemoval(Enum):
    """The state of the removal of a closed project's data, after one batch."""

    IN_USE = "in_use"
    """A job has not ended, its submission is in doubt, or a webhook of it waits."""
    BEGUN = "begun"
    DONE = "done"


class ClosedProjectStore(Protocol):
    """Removes the data of closed projects, in batches small enough not to delay other writes."""

    async def projects_to_empty(self) -> list[str]:
        """Return the ids of the closed projects whose data is still to be removed."""
        ...

    async def remove_project_data(self, project: str, now: Instant) -> DataRemoval:
        """Remove the next jobs of a closed project, or its endpoints, or at last its secrets.

        Costs stay as sums. Nothing is removed while anything in the project is unfinished.
        """
        ...
