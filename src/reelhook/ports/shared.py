"""What every process on a database must know, beyond jobs and webhooks."""

from typing import Protocol

from reelhook.domain.event import Instant
from reelhook.ports.leases import Lease


class SwitchStore(Protocol):
    """Whether providers may be asked how jobs fare."""

    async def watching_paused_since(self) -> Instant | None:
        """Return since when watching is paused."""
        ...


class AccountStore(Protocol):
    """How accounts fare with their providers."""

    async def refusal(self, account: str) -> str | None:
        """Return the provider's words for refusing the account's key, if it does."""
        ...

    async def record_refusal(self, account: str, words: str | None, lease: Lease | None) -> None:
        """Keep them, unless the lease was lost. None: the provider takes the key."""
        ...
