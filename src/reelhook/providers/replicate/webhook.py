"""Replicate's webhooks: Standard Webhooks, signed with one secret for a whole account.

`GET /webhooks/default/secret` returns the secret; the body is the prediction
(replicate-python 1.0.7, `webhook.py`).
"""

from collections.abc import Awaitable, Callable, Mapping

from reelhook.domain.errors import ProviderError, WebhookVerificationError
from reelhook.domain.report import Notice
from reelhook.providers.http.fetched_key import FetchedKey
from reelhook.providers.http.json_fields import readable_id
from reelhook.providers.http.standard_webhook import signed_body


class ReplicateWebhooks:
    """Verifies webhooks. `fetch` reads the secret; `secret` is one that the operator has set."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[str]],
        secret: str | None,
        now: Callable[[], float],
    ) -> None:
        self._secret: FetchedKey[str] = FetchedKey(fetch, now, secret)
        self._now = now

    async def read(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Return the job that a webhook is about. Raises `WebhookVerificationError`."""
        secret = self._secret.value or await self._newer(None)
        try:
            return self._verified(headers, body, secret)
        except WebhookVerificationError:
            newer = await self._newer(secret)  # the account's secret may have been changed
            if newer == secret:
                raise
            return self._verified(headers, body, newer)

    def _verified(self, headers: Mapping[str, str], body: bytes, secret: str) -> Notice:
        content = signed_body(
            headers, body, secret=secret, owner="Replicate's", now_seconds=self._now()
        )
        provider_job_id = readable_id(content.get("id"))
        if provider_job_id is None:
            raise WebhookVerificationError("The webhook's body is not a prediction with an id")
        return Notice(provider_job_id)

    async def _newer(self, unfit: str | None) -> str:
        try:
            secret = await self._secret.replaced(unfit)
        except ProviderError as error:
            raise WebhookVerificationError(
                f"Replicate's secret could not be read: {error.message}"
            ) from error
        if secret is None:
            raise WebhookVerificationError(
                "Replicate's secret could not be read; the next attempt follows within a minute"
            )
        return secret
