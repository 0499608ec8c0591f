"""Port to stored endpoints."""

from collections.abc import Callable
from typing import Protocol

from reelhook.domain.audit import AuditEntry
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.event import Instant


class EndpointStore(Protocol):
    """Stores endpoints. Methods that take an id may raise `EndpointNotFoundError`.

    With `project`, nothing of another one exists.

    `audit` is the entry of a change that a caller made. The store adds what the change did.
    """

    async def create_endpoint(self, endpoint: Endpoint, audit: AuditEntry | None = None) -> None:
        """Store a new endpoint. If it gets every job's events, it starts with the running jobs."""
        ...

    async def endpoints(self, *, project: str | None = None) -> list[Endpoint]:
        """Return the registered endpoints and the default ones, oldest first."""
        ...

    async def endpoints_held_back(self, *, project: str | None = None) -> list[Endpoint]:
        """Return the endpoints of any kind that are disabled, or whose breaker is open."""
        ...

    async def endpoint(self, endpoint_id: str, *, project: str | None = None) -> Endpoint:
        """Return one endpoint of any kind."""
        ...

    async def change_endpoint(
        self,
        endpoint_id: str,
        change: Callable[[Endpoint], Endpoint],
        audit: AuditEntry | None = None,
        *,
        project: str | None = None,
    ) -> Endpoint:
        """Change an endpoint in one transaction, and return the result.

        `change` must be pure: it may be called more than once, and in another thread.
        """
        ...

    async def delete_endpoint(
        self,
        endpoint_id: str,
        now: Instant,
        audit: AuditEntry | None = None,
        *,
        project: str | None = None,
    ) -> None:
        """End an endpoint and all its deliveries. Attempts stay on record."""
        ...

    async def keep_default_endpoint(self, endpoint: Endpoint) -> None:
        """Store a project's default endpoint. A changed URL starts with clean health."""
        ...
