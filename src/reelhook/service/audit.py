"""The use case of the audit trail: read it. Other use cases write it, with their changes."""

from dataclasses import replace

from reelhook.domain.caller import Caller, Scope
from reelhook.ports import AuditFilter, AuditPage, AuditStore


class Audit:
    """The audit trail, over one store."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def page(
        self, caller: Caller, wanted: AuditFilter, limit: int = 50, cursor: int | None = None
    ) -> AuditPage:
        """Return a page of the entries of the caller's project, newest first.

        The operator gets those of all projects and of the installation.
        """
        caller.require(Scope.ADMIN)
        if caller.sees is not None:
            wanted = replace(wanted, project=caller.sees)
        return await self._store.audit_entries(wanted, limit, cursor)
