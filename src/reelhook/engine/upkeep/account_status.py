"""Publishes an account's status, as its worker sees it, to every process through the store."""

from reelhook.core.account_health import AccountHealth
from reelhook.core.wakeups import Signals
from reelhook.domain.account_status import AccountStatus
from reelhook.engine.runner import RunningTasks
from reelhook.ports import AccountStatusStore, Clock, Lease


class AccountStatusPublisher:
    """Stores the status of one account whenever it changes.

    A worker that takes an account starts over: its predecessor may have had another key.
    """

    name = "account_status"

    def __init__(
        self,
        store: AccountStatusStore,
        lease: Lease,
        health: AccountHealth,
        signals: Signals,
        *,
        account: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._lease = lease
        self.health = health
        self._signals = signals
        self.account = account
        self._clock = clock
        self._written: AccountStatus | None = None
        self.signal = health.changed
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Store the status if it has changed; see `Loop`."""
        if self._written is None:
            self._written = await self._store.account_status(self.account)
        account_status = self.health.account_status.dated(self._written, self._clock.now())
        if account_status != self._written:
            await self._store.save_account_status(self.account, account_status, self._lease)
            self._written = account_status
            self._signals.jobs_changed(())  # open pages look again
        return None
