"""What every process on a database must know, beyond jobs and webhooks."""

from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.account_status import AccountStatus
from reelhook.domain.event import Instant
from reelhook.ports.leases import Lease


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """The stored state of one account: its status, and when its last round ended."""

    status: AccountStatus
    last_round_at: Instant | None


class PauseStore(Protocol):
    """Whether providers may be asked how jobs fare."""

    async def watching_paused_since(self) -> Instant | None:
        """Return since when watching is paused."""
        ...


class AccountStore(Protocol):
    """How accounts fare with their providers."""

    async def account_status(self, account: str) -> AccountStatus:
        """Return how an account fares with the worker that has it."""
        ...

    async def save_account_status(
        self, account: str, account_status: AccountStatus, lease: Lease | None
    ) -> None:
        """Keep it, unless the lease was lost."""
        ...
