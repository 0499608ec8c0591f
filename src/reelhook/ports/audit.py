"""Port to the audit trail."""

from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A filter for entries; a field that is None lets all pass. `since` includes the time."""

    project: str | None = None
    action: Action | None = None
    target: str | None = None
    since: Instant | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of entries with their ids, newest first, and the cursor of the next one."""

    entries: tuple[tuple[int, AuditEntry], ...]
    next_cursor: int | None


class AuditStore(Protocol):
    """Reads the audit trail. Entries are added by the writes that they are about."""

    async def audit_entries(self, wanted: AuditFilter, limit: int, cursor: int | None) -> AuditPage:
        """Return a page of entries, newest first."""
        ...
