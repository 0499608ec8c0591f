"""The use case for secrets at rest: encrypt all of them with the newest key."""

from reelhook.domain.caller import Caller, Scope
from reelhook.ports import ReencryptedBatch, SecretsStore

BATCH_ROWS = 100


class SecretsAtRest:
    """The secrets in the database."""

    def __init__(self, store: SecretsStore) -> None:
        self._store = store

    async def reencrypt(self, caller: Caller, after: str | None) -> ReencryptedBatch:
        """Encrypt the next batch with the newest key. `after`: where the previous one ended.

        Raises `NoEncryptionKeyError` without keys, or `UnknownCursorError`.
        """
        caller.require(Scope.OPERATOR)
        return await self._store.reencrypt(after, BATCH_ROWS)
