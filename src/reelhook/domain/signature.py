"""Signatures of webhooks: the first client's `X-Signature`, and Standard Webhooks v1 and v1a.

https://www.standardwebhooks.com/ signs `id.timestamp.body`: v1 by HMAC-SHA256 with a shared
secret, v1a by Ed25519 with a private key.
"""

import base64
import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from random import Random

from reelhook.domain.errors import BadKeyError, InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.problem import Problem
from reelhook.domain.signing_keys import PRIVATE_PREFIX, PUBLIC_PREFIX, PrivateKey

_PREFIX = "whsec_"
SECRET_BYTES = 24
_CHOSEN = re.compile(r"[!-~]{16,256}")


def new_secret(random: Random) -> str:
    """Return a new secret in the form of Standard Webhooks; `random` must be safe for keys."""
    return _PREFIX + base64.b64encode(random.randbytes(SECRET_BYTES)).decode()


def standard_key(secret: str, *, name: str = "The secret") -> bytes:
    """Return the key for Standard Webhooks: decoded after `whsec_`, else the secret's UTF-8 bytes.

    Raises `BadKeyError`, with `name` for the secret, if the text after `whsec_` is not base64, the
    secret is empty, or it is an Ed25519 key.
    """
    if secret.startswith((PRIVATE_PREFIX, PUBLIC_PREFIX)):  # anyone with the public key could sign
        raise BadKeyError(
            f"{name} is an Ed25519 key (whsk_ or whpk_), not a shared secret; "
            "use a long random text instead"
        )
    if not secret:
        raise BadKeyError(f"{name} is empty, so anyone could sign; choose a long random text")
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:  # binascii.Error, or characters outside ASCII
        key = b""
    if not key:  # an empty key would sign, and anyone could do the same
        raise BadKeyError(
            f"{name} starts with whsec_ but what follows is not base64; "
            "correct it or choose a secret without that prefix"
        )
    return key


def check_secret(field: str, secret: str) -> None:
    """Raise `InvalidRequestError` for a secret of a request that can't sign, or is too short."""
    try:
        standard_key(secret)
        usable = _CHOSEN.fullmatch(secret) is not None
    except BadKeyError:
        usable = False
    if not usable:
        raise InvalidRequestError(field, Problem.NOT_A_SIGNING_KEY)


def standard_secret(secret: str) -> str:
    """Return the secret in the form that a Standard Webhooks receiver needs."""
    return _PREFIX + base64.b64encode(standard_key(secret)).decode()


def signed_content(message_id: str, timestamp: str, body: bytes) -> bytes:
    """Return the bytes that Standard Webhooks signs."""
    return b".".join((_bytes(message_id), _bytes(timestamp), body))


def v1(secret: str, content: bytes) -> str:
    """Return the entry that a shared secret adds to `webhook-signature`."""
    keyed = _standard(secret).copy()
    keyed.update(content)
    return "v1," + base64.b64encode(keyed.digest()).decode()


def v1a(key: PrivateKey, content: bytes) -> str:
    """Return the entry that a private key adds to `webhook-signature`."""
    return "v1a," + base64.b64encode(key.sign(content)).decode()


# Setting up a key costs more than signing with it, and each endpoint may have its own secret.
@lru_cache(maxsize=1024)
def _standard(secret: str) -> hmac.HMAC:
    return hmac.new(standard_key(secret), digestmod="sha256")


@lru_cache(maxsize=1024)
def _inherited(secret: str) -> hmac.HMAC:
    return hmac.new(secret.encode(), digestmod="sha256")


def _bytes(header: str) -> bytes:
    """Encode a header's text. Servers represent bytes that are not UTF-8 as lone surrogates."""
    return header.encode(errors="surrogatepass")


def _hex(secret: str, body: bytes) -> str:
    keyed = _inherited(secret).copy()
    keyed.update(body)
    return keyed.hexdigest()


def sign(
    body: bytes,
    *,
    message_id: str,
    now: Instant,
    secret: str,
    previous: str | None = None,
    private_keys: Sequence[PrivateKey] = (),
) -> dict[str, str]:
    """Return the headers that sign `body`. Each attempt needs new ones.

    While a previous secret is still valid, `webhook-signature` has both signatures. `X-Signature`
    has room for one, the previous secret's. Every private key signs as well.
    """
    timestamp = str(now // 1000)
    content = signed_content(message_id, timestamp, body)
    signatures = [v1(secret, content)]
    if previous:
        signatures.append(v1(previous, content))
    signatures += [v1a(key, content) for key in private_keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
        "X-Signature": _hex(previous or secret, body),
        "X-Timestamp": str(now),
    }
