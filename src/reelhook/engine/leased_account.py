"""An account, with the lease that lets this worker act for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from reelhook.core.account_health import AccountHealth
from reelhook.domain.catalog import Account
from reelhook.ports import CreatesAndReads, Lease


@dataclass(frozen=True, slots=True)
class LeasedAccount:
    """An account that this worker holds, with its provider and the lease that fences its writes.

    `sharing` has the ids of the other accounts of the same server. They may share one listing, and
    a provider's job id means the same job for all of them. `health` starts over with each lease,
    because an earlier holder may have had another key.
    """

    account: Account
    provider: CreatesAndReads
    lease: Lease
    sharing: Sequence[str] = ()
    health: AccountHealth = field(default_factory=AccountHealth, compare=False)

    @property
    def id(self) -> str:
        """The account's id."""
        return self.account.id

    @property
    def accounts(self) -> Sequence[str]:
        """The ids of the account and of those that share its server."""
        return (self.id, *self.sharing)
