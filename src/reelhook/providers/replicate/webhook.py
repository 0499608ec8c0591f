"""Replicate's webhooks: Standard Webhooks, signed with one secret for a whole account.

The secret is told by `GET /webhooks/default/secret`, the body is the prediction
(replicate-python 1.0.7, `webhook.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from reelhook.domain.errors import ProviderError, WebhookVerificationError
from reelhook.domain.report import Notice
from reelhook.providers.http.json_fields import readable_id
from reelhook.providers.http.standard_webhook import signed_body

FETCH_SECONDS_MIN = 60.0
"""The secret is asked for at most this often, whatever comes in."""


class ReplicateWebhooks:
    """Reads webhooks. `fetch` asks for the secret; `secret` is one that is known beforehand."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[str]],
        secret: str | None,
        now: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._secret = secret
        self._now = now
        self._fetched_at: float | None = None
        self._lock = asyncio.Lock()

    async def read(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Return whose webhook it is. Raises `WebhookVerificationError`."""
        secret = self._secret or await self._fresh(None)
        try:
            return self._verified(headers, body, secret)
        except WebhookVerificationError:
            fresh = await self._fresh(secret)  # the account may have another one by now
            if fresh == secret:
                raise
            return self._verified(headers, body, fresh)

    def _verified(self, headers: Mapping[str, str], body: bytes, secret: str) -> Notice:
        content = signed_body(
            headers, body, secret=secret, whose="Replicate's", now_seconds=self._now()
        )
        provider_job_id = readable_id(content.get("id"))
        if provider_job_id is None:
            raise WebhookVerificationError("The webhook's body is not a prediction with an id")
        return Notice(provider_job_id)

    async def _fresh(self, unfit: str | None) -> str:
        """Return the secret, asked for again unless that was done just now, or by another."""
        async with self._lock:
            if self._secret not in {None, unfit}:
                return self._secret or ""
            now = self._now()
            if self._fetched_at is None or abs(now - self._fetched_at) >= FETCH_SECONDS_MIN:
                self._fetched_at = now
                try:
                    self._secret = await self._fetch()
                except ProviderError as error:
                    raise WebhookVerificationError(
                        f"Replicate's secret could not be read: {error.message}"
                    ) from error
        if self._secret is None:
            raise WebhookVerificationError("Replicate's secret could not be read a moment ago")
        return self._secret
