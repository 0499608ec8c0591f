"""Port to stored keys of projects."""

from collections.abc import Callable, Sequence
from typing import Protocol

from reelhook.domain.api_key import ApiKey, KeyGrant
from reelhook.domain.audit import AuditEntry
from reelhook.domain.event import Instant


class GrantReads(Protocol):
    """Reads what a request's key allows."""

    async def api_key_grant(self, token_hash: str) -> KeyGrant | None:
        """Return the key with this hash, now or before its last rotation; None if none has it."""
        ...

    async def api_key_grant_by_id(self, key_id: str) -> KeyGrant | None:
        """Return the key with this id; None if there is none."""
        ...

    async def api_key_grants(self, hashes_or_ids: Sequence[str]) -> dict[str, KeyGrant]:
        """Return the keys with these hashes, now or before their last rotation, or ids."""
        ...

    async def any_api_key(self) -> bool:
        """Return True if a key was ever made, even if it has ended."""
        ...

    async def any_valid_api_key(self, now: Instant) -> bool:
        """Return True if a key is accepted now."""
        ...

    async def record_api_key_use(self, key_id: str, now: Instant) -> None:
        """Store the time of a key's last use, unless a recent one is stored."""
        ...


class ApiKeyStore(GrantReads, Protocol):
    """Stores keys. With `seen_by`, only the keys of that project exist.

    `audit` is the entry of a change that a caller made.
    """

    async def create_api_key(
        self, key: ApiKey, token_hash: str, audit: AuditEntry | None = None
    ) -> None:
        """Store a new key."""
        ...

    async def api_key(self, key_id: str, *, seen_by: str | None = None) -> ApiKey:
        """Return one key. Raises `KeyNotFoundError`."""
        ...

    async def api_keys(self, *, seen_by: str | None = None) -> list[ApiKey]:
        """Return the keys, oldest first, including those that have ended."""
        ...

    async def change_api_key(
        self,
        key_id: str,
        change: Callable[[ApiKey], ApiKey],
        audit: AuditEntry | None = None,
        *,
        new_hash: str | None = None,
        seen_by: str | None = None,
    ) -> ApiKey:
        """Change a key in one transaction, and return the result. Raises `KeyNotFoundError`.

        `new_hash` is that of its new text; the present one becomes the previous one. `change` must
        be pure: it may be called more than once, and in another thread.
        """
        ...
