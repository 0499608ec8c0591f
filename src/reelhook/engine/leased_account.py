"""An account as its holder works on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from reelhook.domain.catalog import Account
from reelhook.ports import CreatesAndReads, Lease


@dataclass(frozen=True, slots=True)
class LeasedAccount:
    """An account that this worker holds: how its provider is asked, and what fences its writes.

    `sharing` are the other accounts of the same server: they may have one listing, and an id of
    its jobs means the same job for all of them.
    """

    account: Account
    provider: CreatesAndReads
    lease: Lease
    sharing: Sequence[str] = ()

    @property
    def id(self) -> str:
        """The account's."""
        return self.account.id

    @property
    def accounts(self) -> Sequence[str]:
        """The account and those that share its server."""
        return (self.id, *self.sharing)
