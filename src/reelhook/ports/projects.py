"""Port to stored projects."""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

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
    """Stores projects."""

    async def create_project(self, project: Project) -> None:
        """Store a new project. Raises `ProjectNameTakenError`."""
        ...

    async def change_project(
        self,
        id_or_name: str,
        change: Callable[[Project], Project],
        now: Instant,
        *,
        trusted: bool = False,
        seen_by: str | None = None,
    ) -> Project:
        """Change a project in one transaction, and return the result.

        A webhook URL gets a default endpoint; `trusted`: the operator chose the URL. `change` must
        be pure: it may be called more than once, and in another thread. Raises
        `ProjectNotFoundError` or `ProjectNameTakenError`.
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
