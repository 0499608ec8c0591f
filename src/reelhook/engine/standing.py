"""Standing: tells every process, by the store, how an account stands with its provider."""

from reelhook.engine.runner import Tasks
from reelhook.ports import AccountStore, Lease
from reelhook.signals import AccountHealth


class Standing:
    """Writes down whether one account's key is refused, when that changes.

    Whoever takes an account begins anew: its predecessor may have had another key.
    """

    name = "standing"

    def __init__(
        self, store: AccountStore, lease: Lease, health: AccountHealth, *, account: str
    ) -> None:
        self._store = store
        self._lease = lease
        self._health = health
        self._account = account
        self._looked = False
        self._written: str | None = None
        self.signal = health.changed
        self.tasks = Tasks(self.signal)

    async def tick(self) -> float | None:
        """Write what is new; see `Loop`."""
        if not self._looked:
            self._written = await self._store.refusal(self._account)
            self._looked = True
        words = self._health.unauthorized
        if words != self._written:
            await self._store.record_refusal(self._account, words, self._lease)
            self._written = words
        return None
