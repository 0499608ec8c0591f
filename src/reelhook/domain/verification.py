"""Verification of a received webhook by Standard Webhooks v1 and v1a."""

import base64
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reelhook.domain.errors import WebhookVerificationError
from reelhook.domain.signature import signed_content, v1
from reelhook.domain.signing_keys import SIGNATURE_BYTES, PublicKey

TOLERANCE_SECONDS = 300
_TIMESTAMP_DIGITS_MAX = 12
_SIGNATURES_MAX = 32
"""Further signatures are ignored: each may cost 0.1 ms for each public key."""


class Headers(Protocol):
    """A request's headers: a dict, or the headers of aiohttp, Starlette, Flask or Django."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return names, in any case, and values."""
        ...


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """A verified webhook.

    `id` is the same when the webhook is sent again. `timestamp` is the time of sending in Unix
    seconds. `body` is the parsed JSON.
    """

    id: str
    timestamp: int
    body: Any


def verified(
    body: bytes,
    headers: Headers,
    *,
    secrets: Sequence[str],
    public_keys: Sequence[PublicKey],
    now_seconds: float,
    tolerance_seconds: float,
) -> ReceivedWebhook:
    """Return the webhook if one of the secrets or keys signed it. Comparisons take constant time.

    Raises `WebhookVerificationError`, and `BadKeyError` for a malformed secret.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signatures = (
        _header(lower, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    )
    if "." in message_id:  # a dot ends the id in the signed content
        raise WebhookVerificationError("webhook-id has a dot, which is not allowed in an id")
    content = signed_content(message_id, timestamp, body)
    entries = signatures.split()[:_SIGNATURES_MAX]
    sent_at = _sent_at(timestamp, now_seconds, tolerance_seconds)
    if not (
        _signed_with_secret(entries, content, secrets)
        or _signed_with_key(entries, content, public_keys)
    ):
        raise WebhookVerificationError(
            "No signature matches: another secret or key signed this, or the body is not exactly "
            "the bytes that arrived; verify it before anything parses it"
        )
    return ReceivedWebhook(message_id, sent_at, _json(body))


def _header(lower: dict[str, str], name: str) -> str:
    value = lower.get(name)
    if not value:
        raise WebhookVerificationError(
            f"The header {name} is missing; pass all headers of the request, and make sure that "
            "proxies forward it"
        )
    return value


def _sent_at(timestamp: str, now_seconds: float, tolerance_seconds: float) -> int:
    if (
        not (timestamp.isascii() and timestamp.isdecimal())
        or len(timestamp) > _TIMESTAMP_DIGITS_MAX
    ):
        raise WebhookVerificationError("webhook-timestamp is not a time in Unix seconds")
    sent_at = int(timestamp)
    age = now_seconds - sent_at
    if not abs(age) <= tolerance_seconds:  # written so that NaN does not pass
        when = f"{age:.0f} s ago" if age > 0 else f"{-age:.0f} s from now"
        raise WebhookVerificationError(
            f"The webhook was sent {when}, and {tolerance_seconds:g} s are allowed: it is a "
            "replay, or a clock is wrong; compare this machine's clock with a time server"
        )
    return sent_at


def _signed_with_secret(entries: Sequence[str], content: bytes, secrets: Sequence[str]) -> bool:
    expected = [v1(secret, content).encode() for secret in secrets]
    given = [entry.encode(errors="surrogatepass") for entry in entries]
    return any(hmac.compare_digest(mine, theirs) for theirs in given for mine in expected)


def _signed_with_key(
    entries: Sequence[str], content: bytes, public_keys: Sequence[PublicKey]
) -> bool:
    signatures = [raw for entry in entries if (raw := _v1a_signature(entry)) is not None]
    return any(key.verifies(raw, content) for raw in signatures for key in public_keys)


def _v1a_signature(entry: str) -> bytes | None:
    version, _, text = entry.partition(",")
    if version != "v1a":
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    # Base64 can write the same bytes in several ways; only the canonical one is valid.
    canonical = base64.b64encode(raw).decode() == text
    return raw if canonical and len(raw) == SIGNATURE_BYTES else None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise WebhookVerificationError(
            "The signature is valid, but the body is not JSON, so reelhook did not send it"
        ) from None
