"""fal's webhooks: signed with Ed25519, by keys that fal publishes as a JWK Set.

The signed text is `request id, user id, timestamp, SHA-256 of the body in hex`, one per line; the
signature is in hex (fal's documentation, "Webhooks").
"""

import hashlib
from collections.abc import Callable, Mapping

from aiohttp import ClientSession
from yarl import URL

from reelhook.domain.errors import ProviderError, WebhookVerificationError
from reelhook.domain.report import Notice
from reelhook.domain.signing_keys import PublicKey, public_keys
from reelhook.providers.http import reads
from reelhook.providers.http.fetched_key import FetchedKey
from reelhook.providers.http.json_fields import Fields, readable_id
from reelhook.providers.http.response import read_json
from reelhook.providers.http.response_memory import ResponseMemory

TOLERANCE_SECONDS = 300
KEYS_MAX = 20

Keys = tuple[PublicKey, ...]


def keys_url(origin: str) -> str:
    """Return the address at which a server of this origin publishes its keys."""
    return f"{origin}/.well-known/jwks.json"


class FalWebhooks:
    """Verifies webhooks. `now` returns Unix seconds."""

    def __init__(
        self, http: ClientSession, memory: ResponseMemory, keys_url: str, now: Callable[[], float]
    ) -> None:
        self._http = http
        self._memory = memory
        self._keys_url = URL(keys_url)
        self._now = now
        self._keys: FetchedKey[Keys] = FetchedKey(self._fetch, now)

    async def read(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Return the job that a webhook is about. Raises `WebhookVerificationError`."""
        lower_case = {name.lower(): value for name, value in headers.items()}
        message, signature = self._signed(lower_case, body)
        if not _verifies(self._keys.value, message, signature):
            keys = await self._newer_keys()
            if not _verifies(keys, message, signature):
                raise WebhookVerificationError("fal's signature does not match the body")
        request_id = readable_id(lower_case.get("x-fal-webhook-request-id"))
        if request_id is None or request_id not in _ids(body):
            raise WebhookVerificationError("The webhook's body is about another request")
        return Notice(request_id)

    def _signed(self, headers: Mapping[str, str], body: bytes) -> tuple[bytes, bytes]:
        """Return the signed text and its signature."""
        try:
            request_id, user_id, timestamp, signature = (
                headers[f"x-fal-webhook-{name}"]
                for name in ("request-id", "user-id", "timestamp", "signature")
            )
            age = abs(self._now() - int(timestamp))
            raw = bytes.fromhex(signature)
        except KeyError as error:
            raise WebhookVerificationError(f"fal's header {error.args[0]} is missing") from None
        except (ValueError, OverflowError):
            raise WebhookVerificationError("fal's timestamp or signature is malformed") from None
        if age > TOLERANCE_SECONDS:
            raise WebhookVerificationError(f"The webhook's timestamp is {age:.0f} s off")
        digest = hashlib.sha256(body).hexdigest()
        return "\n".join((request_id, user_id, timestamp, digest)).encode(), raw

    async def _newer_keys(self) -> Keys | None:
        try:
            return await self._keys.replaced(self._keys.value)
        except ProviderError as error:
            raise WebhookVerificationError(f"fal's keys can't be read: {error}") from error

    async def _fetch(self) -> Keys:
        response = await reads.ask(self._http, "GET", self._keys_url, {}, memory=self._memory)
        return _published(response.fields()) or self._keys.value or ()


def _verifies(keys: Keys | None, message: bytes, signature: bytes) -> bool:
    return any(key.verifies(signature, message) for key in keys or ())


def _published(key_set: Fields) -> Keys:
    keys = key_set.get("keys")
    return public_keys({"keys": keys[:KEYS_MAX]}) if isinstance(keys, list) else ()


def _ids(body: bytes) -> set[str]:
    """Return the ids in a body: a request that fal has run again has two."""
    content = read_json(body)
    if not isinstance(content, dict):
        return set()
    ids = (content.get("request_id"), content.get("gateway_request_id"))
    return {request_id for request_id in ids if isinstance(request_id, str)}
