"""Verification of webhooks, for receivers in Python. Loads no part of the sender."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from reelhook.domain import signing_keys as ed25519
from reelhook.domain.errors import BadKeyError
from reelhook.domain.verification import TOLERANCE_SECONDS, Headers, ReceivedWebhook, verified


def verify(
    body: bytes,
    headers: Headers,
    secrets: str | Iterable[str] = (),
    *,
    public_keys: str | Iterable[str] | Mapping[str, Any] = (),
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> ReceivedWebhook:
    """Return the webhook if it was signed with one of the secrets or keys, and is recent.

    `body` is the raw body. `headers` are the request's; upper and lower case don't matter.
    `secrets` are plain or `whsec_`; `public_keys` are `whpk_`, or the JWK Set of
    `/.well-known/webhooks/jwks.json`. The webhook may have been signed `tolerance_seconds` before
    or after `now` (Unix seconds, by default the system's clock).

    Raises `WebhookVerificationError` for an untrusted webhook (respond with 401), `BadKeyError`
    for a malformed secret or key, and `TypeError` for a body that is not bytes.
    """
    if not isinstance(body, bytes):
        raise TypeError(
            f"verify() needs the raw body as bytes, as it arrived, not {type(body).__name__}: "
            "`await request.body()` in Starlette and FastAPI, `request.get_data()` in Flask, "
            "`request.body` in Django, `await request.read()` in aiohttp"
        )
    shared = (secrets,) if isinstance(secrets, str) else tuple(secrets)
    public = ed25519.public_keys(public_keys)
    if not shared and not public:
        raise BadKeyError("verify() has nothing to verify with; pass a secret or a public key")
    return verified(
        body,
        headers,
        secrets=shared,
        public_keys=public,
        now_seconds=time.time() if now is None else now,
        tolerance_seconds=tolerance_seconds,
    )
