"""Encryption of secrets at rest: the keys, and the form of an encrypted text.

AES-256-GCM, with the place of the text (table, row, column) as associated data, so a text that was
moved to another row can't be decrypted. `cryptography` takes 20 ms to load, so it is loaded by the
first use of a key.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from reelhook.domain.errors import BadKeyError, SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_PREFIX = "rhek_"
KEY_BYTES = 32
NONCE_BYTES = 12
MARK = "§1."
"""The beginning of an encrypted text. No secret and no header has this character: both are ASCII.
The digit is the version of the form: mark, key id, dot, base64 of nonce and ciphertext."""
_ID_CHARACTERS = 8
CACHED_MAX = 4096
"""The number of texts that are kept decrypted: endpoints with due webhooks are read many times a
second, and decrypting took longer than the rest of such a read."""

Place = tuple[str, str, str]
"""The place of a text: table, primary key of the row, column."""


class UndecryptableError(SettingsError):
    """A text can't be decrypted: its key is missing, or the text was changed or moved."""

    code = "undecryptable"

    def __init__(self, key_id: str, *, key_missing: bool) -> None:
        super().__init__(
            f"The secrets in the database are encrypted with the key {key_id}; "
            "add that key to REELHOOK_ENCRYPTION_KEYS"
            if key_missing
            else f"A secret in the database can't be decrypted with its key, {key_id}: it was "
            "changed or moved by another program; restore the database from a backup",
            facts={"key_id": key_id},
        )
        self.key_id = key_id


class NoEncryptionKeyError(SettingsError):
    """There is no key to encrypt with."""

    code = "no_encryption_key"

    def __init__(self) -> None:
        super().__init__("There is no key to encrypt with; set REELHOOK_ENCRYPTION_KEYS")


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A key of 256 random bits. Its `repr` does not reveal it; `id` is no secret."""

    id: str
    _raw: bytes = field(repr=False)

    @classmethod
    def of(cls, raw: bytes) -> "EncryptionKey":
        """Return the key of 32 random bytes."""
        named = hashlib.sha256(b"reelhook encryption key\0" + raw).hexdigest()
        return cls(named[:_ID_CHARACTERS], raw)

    @classmethod
    def parse(cls, text: str, *, name: str = "The encryption key") -> "EncryptionKey":
        """Return the key of a text `rhek_<base64url>`.

        Raises `BadKeyError`, which names the key by `name` and never shows it.
        """
        raw = _decoded(text.removeprefix(KEY_PREFIX)) if text.startswith(KEY_PREFIX) else None
        if raw is None or len(raw) != KEY_BYTES:
            raise BadKeyError(
                f"{name} is not {KEY_PREFIX} and the base64 of {KEY_BYTES} bytes; "
                "copy the key again, or generate a new one",
                problem="malformed_encryption_key",
                facts={"name": name},
            )
        return cls.of(raw)


def key_text(raw: bytes) -> str:
    """Return a key in the form of the settings."""
    return KEY_PREFIX + _base64url(raw)


class Keyring:
    """The keys of one process. The first one encrypts, and all of them decrypt."""

    def __init__(self, keys: Sequence[EncryptionKey] = ()) -> None:
        self._keys = {key.id: key for key in reversed(keys)}
        self._ciphers: dict[str, AESGCM] = {}
        self._decrypted = lru_cache(CACHED_MAX)(self._decrypt)
        self.newest_id = keys[0].id if keys else None
        """The id of the key that encrypts; None: there is no key, and texts stay plain."""

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Keyring":
        """Return the keyring of keys in the form of the settings, newest first."""
        return cls([EncryptionKey.parse(text) for text in texts])

    def encrypt(self, text: str, place: Place, nonce: bytes) -> str:
        """Return a text encrypted with the newest key, or the text itself if there is no key.

        `nonce` must be 12 random bytes, never used before. An encrypted text stays as it is.
        """
        if self.newest_id is None or is_encrypted(text):
            return text
        sealed = self._cipher(self.newest_id).encrypt(nonce, text.encode(), _bound_to(place))
        return f"{MARK}{self.newest_id}.{_base64url(nonce + sealed)}"

    def decrypt(self, text: str, place: Place) -> str:
        """Return the plain text. Raises `UndecryptableError`. A plain text stays as it is."""
        return self._decrypted(text, place) if is_encrypted(text) else text

    def _decrypt(self, text: str, place: Place) -> str:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see the module

        key_id, _, encoded = text.removeprefix(MARK).partition(".")
        raw = _decoded(encoded)
        if key_id not in self._keys:
            raise UndecryptableError(key_id, key_missing=True)
        if raw is None or len(raw) <= NONCE_BYTES:
            raise UndecryptableError(key_id, key_missing=False)
        nonce, sealed = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
        try:
            return self._cipher(key_id).decrypt(nonce, sealed, _bound_to(place)).decode()
        except InvalidTag:
            raise UndecryptableError(key_id, key_missing=False) from None

    def _cipher(self, key_id: str) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see the module

        if key_id not in self._ciphers:
            self._ciphers[key_id] = AESGCM(self._keys[key_id]._raw)
        return self._ciphers[key_id]


def is_encrypted(text: str) -> bool:
    """Return True if the text is encrypted."""
    return text.startswith(MARK)


def key_id_of(text: str) -> str | None:
    """Return the id of the key that a text is encrypted with; None: it is plain."""
    return text.removeprefix(MARK).partition(".")[0] if is_encrypted(text) else None


def _bound_to(place: Place) -> bytes:
    return "\0".join(place).encode()


def _decoded(text: str) -> bytes | None:
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except ValueError:  # binascii.Error, or characters outside ASCII
        return None


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
