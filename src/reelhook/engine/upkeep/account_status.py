"""Standing: tells every process, by the store, how an account fares with its worker."""

from reelhook.core.wakeups import AccountHealth
from reelhook.domain.account_status import AccountStatus
from reelhook.engine.runner import RunningTasks
from reelhook.ports import AccountStatusStore, Lease


class AccountStatusPublisher:
    """Writes down how one account fares, when that changes.

    Whoever takes an account begins anew: its predecessor may have had another key.
    """

    name = "standing"

    def __init__(
        self, store: AccountStatusStore, lease: Lease, health: AccountHealth, *, account: str
    ) -> None:
        self._store = store
        self._lease = lease
        self._health = health
        self._account = account
        self._written: AccountStatus | None = None
        self.signal = health.changed
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Write what is new; see `Loop`."""
        if self._written is None:
            self._written = await self._store.account_status(self._account)
        account_status = self._health.account_status
        if account_status != self._written:
            await self._store.save_account_status(self._account, account_status, self._lease)
            self._written = account_status
        return None
