"""An account as its holder works on it."""

from dataclasses import dataclass

from reelhook.domain.catalog import Account
from reelhook.ports import Lease, Provider


@dataclass(frozen=True, slots=True)
class Held:
    """An account that this worker holds: how its provider is asked, and what fences its writes."""

    account: Account
    provider: Provider
    lease: Lease

    @property
    def id(self) -> str:
        """The account's."""
        return self.account.id
