"""Ed25519 keys, as Standard Webhooks writes them (`whsk_`, `whpk_`) and as JWKS (RFC 7517, 8037).

`cryptography` takes 20 ms to load, so it is loaded by the first use of a key.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reelhook.domain.errors import BadKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
KEY_BYTES = 32
"""The length of a seed, and of a public key."""
PAIR_BYTES = 2 * KEY_BYTES
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key with which receivers verify webhooks; `raw` has 32 bytes."""

    raw: bytes

    def __str__(self) -> str:
        return PUBLIC_PREFIX + base64.b64encode(self.raw).decode()

    def jwk(self) -> dict[str, str]:
        """Return the key as a JWK (RFC 8037, section 2); `kid` is its thumbprint (RFC 7638)."""
        required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(self.raw)}
        canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
        thumbprint = _base64url(hashlib.sha256(canonical).digest())
        return {**required, "use": "sig", "alg": "EdDSA", "kid": thumbprint}

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Return True if this key made the signature."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see the module
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - as above
            Ed25519PublicKey,
        )

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, signed)
        except (InvalidSignature, ValueError):  # ValueError: not a point of the curve
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs webhooks. Its `repr` does not reveal it; `public` is no secret."""

    public: PublicKey
    _key: "Ed25519PrivateKey" = field(repr=False, compare=False)

    @classmethod
    def of(cls, seed: bytes) -> "PrivateKey":
        """Return the key of a seed of 32 random bytes (RFC 8032, section 5.1.5)."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see the module
            Ed25519PrivateKey,
        )

        key = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(PublicKey(key.public_key().public_bytes_raw()), key)

    @classmethod
    def parse(cls, text: str, *, name: str = "The private key") -> "PrivateKey":
        """Return the key of a text `whsk_<base64>`: a seed, or a seed with its public key.

        Raises `BadKeyError`, which names the key by `name` and never shows it.
        """
        raw = _decoded(text, PRIVATE_PREFIX)
        if raw is None or len(raw) not in {KEY_BYTES, PAIR_BYTES}:
            raise BadKeyError(
                f"{name} is not whsk_ and the base64 of 32 or 64 bytes; generate a new key",
                problem="malformed_private_key",
                facts={"name": name},
            )
        key = cls.of(raw[:KEY_BYTES])
        if len(raw) == PAIR_BYTES and raw[KEY_BYTES:] != key.public.raw:
            raise BadKeyError(f"{name} ends with another key's public half; copy the key again")
        return key

    def sign(self, content: bytes) -> bytes:
        """Return the signature of 64 bytes; it is the same for the same content."""
        return self._key.sign(content)


def private_text(seed: bytes) -> str:
    """Return a private key in the form of the settings."""
    return PRIVATE_PREFIX + base64.b64encode(seed).decode()


def jwk_set(keys: Iterable[PublicKey]) -> dict[str, list[dict[str, str]]]:
    """Return the JWK Set (RFC 7517, section 5) of these keys."""
    return {"keys": [key.jwk() for key in keys]}


def public_keys(given: str | Iterable[str] | Mapping[str, Any]) -> tuple[PublicKey, ...]:
    """Return the keys of one or more `whpk_` texts, or of a JWK Set.

    Keys of other kinds in a set are ignored, as RFC 7517, section 5 requires. Raises `BadKeyError`
    for a wrong text, or a mapping that is not a JWK Set.
    """
    match given:
        case str():
            return (_public(given),)
        case Mapping():
            keys = given.get("keys")
            if not isinstance(keys, list):
                raise BadKeyError(
                    "The public keys are not a JWK Set, which has a list `keys`; "
                    "use the response of /.well-known/webhooks/jwks.json"
                )
            return tuple(key for jwk in keys if (key := _from_jwk(jwk)) is not None)
        case _:
            return tuple(_public(text) for text in given)


def _public(text: str) -> PublicKey:
    raw = _decoded(text, PUBLIC_PREFIX)
    if raw is None or len(raw) != KEY_BYTES:
        raise BadKeyError(
            "A public key must be whpk_ and the base64 of 32 bytes; copy it from the sender again"
        )
    return PublicKey(raw)


def _from_jwk(jwk: object) -> PublicKey | None:
    match jwk:
        case {"kty": "OKP", "crv": "Ed25519", "x": str(x), **rest} if (
            rest.get("use", "sig") == "sig"
        ):
            try:
                raw = base64.b64decode(x + "=" * (-len(x) % 4), altchars=b"-_", validate=True)
            except ValueError:
                return None
            return PublicKey(raw) if len(raw) == KEY_BYTES else None
        case _:
            return None


def _decoded(text: str, prefix: str) -> bytes | None:
    if not text.startswith(prefix):
        return None
    try:
        return base64.b64decode(text.removeprefix(prefix), validate=True)
    except ValueError:  # binascii.Error, or characters outside ASCII
        return None


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
