"""Signatures of webhooks: the inherited `X-Signature` and Standard Webhooks v1.

https://www.standardwebhooks.com/ gives the second form: HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from reelhook.domain.errors import SettingsError
from reelhook.domain.event import Instant

_PREFIX = "whsec_"
TOLERANCE_SECONDS = 300
_TIMESTAMP_DIGITS_MAX = 12


def standard_key(secret: str) -> bytes:
    """Return the key of Standard Webhooks: decoded after `whsec_`, else the secret's UTF-8 bytes.

    Raises `SettingsError` when what follows `whsec_` is not base64, or nothing follows.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:  # binascii.Error, or characters outside ASCII
        key = b""
    if not key:  # an empty key would sign, and anyone could do the same
        raise SettingsError(
            "WEBHOOK_SECRET starts with whsec_ but what follows is not base64; "
            "correct it or choose a secret without that prefix"
        )
    return key


def standard_secret(secret: str) -> str:
    """Return the form that a Standard Webhooks receiver must be given."""
    return _PREFIX + base64.b64encode(standard_key(secret)).decode()


def _v1(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((_bytes(message_id), _bytes(timestamp), body))
    digest = hmac.digest(standard_key(secret), signed, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def _bytes(header: str) -> bytes:
    """Encode a header's text; servers hand on bytes that are not UTF-8 as lone surrogates."""
    return header.encode(errors="surrogatepass")


def _hex(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def sign(
    body: bytes, *, message_id: str, now: Instant, secret: str, previous: str | None = None
) -> dict[str, str]:
    """Return the headers that sign `body`, made afresh for each attempt.

    While a previous secret is still honoured, `webhook-signature` carries both signatures and
    `X-Signature`, a single value, stays on the previous one.
    """
    timestamp = str(now // 1000)
    secrets = (secret, previous) if previous else (secret,)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_v1(s, message_id, timestamp, body) for s in secrets),
        "X-Signature": _hex(previous or secret, body),
        "X-Timestamp": str(now),
    }


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    *,
    now: Instant,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> bool:
    """Return whether a webhook's Standard Webhooks signature is right and fresh.

    `headers` may be in any case. Comparison takes constant time.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = lower.get("webhook-id", ""), lower.get("webhook-timestamp", "")
    if not message_id or not timestamp.isdecimal() or len(timestamp) > _TIMESTAMP_DIGITS_MAX:
        return False
    if abs(now / 1000 - int(timestamp)) > tolerance_seconds:
        return False
    given = lower.get("webhook-signature", "").split()
    expected = [_v1(secret, message_id, timestamp, body) for secret in secrets]
    return any(
        hmac.compare_digest(_bytes(one), other.encode()) for one in given for other in expected
    )
