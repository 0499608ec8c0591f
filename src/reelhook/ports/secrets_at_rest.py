"""Port to the secrets at rest: encrypts all of them with the newest key, batch by batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Undecryptable:
    """A row with a secret that this process can't decrypt, and the id of the key that it needs."""

    table: str
    row: str
    key_id: str


@dataclass(frozen=True, slots=True)
class ReencryptedBatch:
    """The result of one batch. `rows` were read, and `changed` of them were encrypted again.

    `key_id` is the newest key. `total` is the number of rows with secrets, in the first batch only.
    `next_cursor` None: that was the last batch.
    """

    key_id: str
    rows: int
    changed: int
    undecryptable: tuple[Undecryptable, ...]
    next_cursor: str | None
    total: int | None


@dataclass(frozen=True, slots=True)
class SecretsSurvey:
    """The number of secrets by the id of their key (None: in plain text), and unreadable rows."""

    keys: Mapping[str | None, int]
    undecryptable: tuple[Undecryptable, ...]


class SecretsStore(Protocol):
    """Encrypts the secrets at rest."""

    async def reencrypt(self, after: str | None, limit: int) -> ReencryptedBatch:
        """Encrypt the secrets of the next rows. `after`: where the previous batch ended.

        Raises `NoEncryptionKeyError` without keys, or `UnknownCursorError`.
        """
        ...
