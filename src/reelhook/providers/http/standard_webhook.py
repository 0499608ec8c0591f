"""Webhooks of providers that sign them according to Standard Webhooks."""

from collections.abc import Mapping

from reelhook.domain.errors import BadKeyError, WebhookVerificationError
from reelhook.domain.verification import TOLERANCE_SECONDS, verified


def signed_body(
    headers: Mapping[str, str], body: bytes, *, secret: str, owner: str, now_seconds: float
) -> dict[str, object]:
    """Return a webhook's JSON object; an empty one if the body is not an object.

    `owner` names the secret's owner in messages. Raises `WebhookVerificationError`, also for a
    malformed secret.
    """
    try:
        received = verified(
            body,
            headers,
            secrets=(secret,),
            public_keys=(),
            now_seconds=now_seconds,
            tolerance_seconds=TOLERANCE_SECONDS,
        )
    except BadKeyError as error:
        raise WebhookVerificationError(f"{owner} secret: {error.message}") from error
    return received.body if isinstance(received.body, dict) else {}
