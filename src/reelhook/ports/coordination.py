"""State that all processes of a database share, besides jobs and webhooks."""

from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.account_status import AccountStatus
from reelhook.domain.audit import AuditEntry
from reelhook.domain.event import Instant
from reelhook.ports.leases import Lease


class PauseReads(Protocol):
    """Reads whether watching is paused."""

    async def watching_paused_since(self) -> Instant | None:
        """Return the time at which watching was paused, or None if it is not paused."""
        ...


class PauseStore(PauseReads, Protocol):
    """Pauses watching, for every process."""

    async def pause_watching(self, now: Instant, audit: AuditEntry | None = None) -> None:
        """Pause watching. An existing pause keeps its start time.

        `audit` is added if this changes anything.
        """
        ...

    async def resume_watching(self, audit: AuditEntry | None = None) -> None:
        """End the pause. `audit` is added if there was one."""
        ...


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """The stored state of one account: its status, and when its last round ended."""

    status: AccountStatus
    last_round_at: Instant | None


class AccountStatusReads(Protocol):
    """Reads the status of accounts."""

    async def account_status(self, account: str) -> AccountStatus:
        """Return the status that the account's worker last stored."""
        ...


class AccountStatusStore(AccountStatusReads, Protocol):
    """Keeps the status of accounts."""

    async def save_account_status(
        self, account: str, account_status: AccountStatus, lease: Lease | None
    ) -> None:
        """Store an account's status, unless the lease was lost."""
        ...


SEEN_MILLISECONDS_MAX = 5000
"""The longest time for which a process or a worker counts as alive after it was last seen.

A later time was stored before the database's clock was set back, so it counts for nothing.
"""


class PresenceStore(Protocol):
    """Keeps the processes that have a shared database open."""

    async def announce(self, process: str, own: str, milliseconds: int) -> str | None:
        """Record that a process of the schema `own` is alive for this time.

        Return the database's schema, and record nothing, if this process may not use it; else None.
        """
        ...

    async def leave(self, process: str) -> None:
        """Record that a process ends."""
        ...


class InstallationStore(Protocol):
    """Keeps values on which all processes of an installation must agree."""

    async def key(self, name: str, made: str) -> str:
        """Return our key of this name; `made` becomes the key if there is none yet.

        Raises `UndecryptableError`.
        """
        ...

    async def check_encryption_keys(self) -> None:
        """Raise `UndecryptableError` if this process lacks a key of the database's secrets."""
        ...

    async def upstream(self, kind: str) -> str:
        """Return the kind of providers that this database is used with: that of its first job.

        Without any job, `kind` becomes the kind.
        """
        ...

    async def free_leases(self) -> None:
        """Expire every lease and remove every worker.

        Only for the owner of a locked file: the lock proves that no other process is alive.
        """
        ...
