"""fal's webhooks: signed with Ed25519, by keys that fal publishes as a JWK Set.

Signed is `request id, user id, timestamp, SHA-256 of the body in hex`, a line each; the signature
is in hex (fal's documentation, "Webhooks").
"""

import asyncio
import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence

from aiohttp import ClientSession
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from yarl import URL

from reelhook.domain.errors import ProviderError, WebhookVerificationError
from reelhook.domain.report import Notice
from reelhook.providers.http import reads
from reelhook.providers.http.json_fields import readable_id
from reelhook.providers.http.receiving import ResponseMemory
from reelhook.providers.http.response import read_json

KEYS_URL = "https://rest.fal.ai/.well-known/jwks.json"
TOLERANCE_SECONDS = 300
FETCH_SECONDS_MIN = 60.0
"""The keys are asked for at most this often, whatever comes in."""
KEYS_MAX = 20


def keys_url(origin: str) -> str:
    """Return where a server of this origin publishes its keys."""
    return f"{origin}/.well-known/jwks.json"


class FalWebhooks:
    """Reads webhooks. `now` tells Unix seconds."""

    def __init__(
        self, http: ClientSession, room: ResponseMemory, keys_url: str, now: Callable[[], float]
    ) -> None:
        self._http = http
        self._room = room
        self._keys_url = URL(keys_url)
        self._now = now
        self._keys: Sequence[Ed25519PublicKey] = ()
        self._fetched_at: float | None = None
        self._lock = asyncio.Lock()

    async def read(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Return whose webhook it is. Raises `WebhookVerificationError`."""
        given = {name.lower(): value for name, value in headers.items()}
        message, signature = self._claimed(given, body)
        if not _signed(message, signature, self._keys):
            await self._fetch()  # there may be a new key
            if not _signed(message, signature, self._keys):
                raise WebhookVerificationError("fal's signature does not fit the body")
        request_id = readable_id(given.get("x-fal-webhook-request-id"))
        if request_id is None or request_id not in _ids(body):
            raise WebhookVerificationError("The webhook's body is not the request that it names")
        return Notice(request_id)

    def _claimed(self, headers: Mapping[str, str], body: bytes) -> tuple[bytes, bytes]:
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

    async def _fetch(self) -> None:
        async with self._lock:
            now = self._now()
            if self._fetched_at is not None and abs(now - self._fetched_at) < FETCH_SECONDS_MIN:
                return
            self._fetched_at = now
            try:
                answer = await reads.ask(self._http, "GET", self._keys_url, {}, room=self._room)
            except ProviderError as error:
                raise WebhookVerificationError(f"fal's keys can't be read: {error}") from error
            self._keys = _keys(answer.fields()) or self._keys


def _signed(message: bytes, signature: bytes, keys: Sequence[Ed25519PublicKey]) -> bool:
    for key in keys:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            continue
        return True
    return False


def _keys(published: Mapping[str, object]) -> list[Ed25519PublicKey]:
    listed = published.get("keys")
    found = []
    for one in listed[:KEYS_MAX] if isinstance(listed, list) else []:
        x = one.get("x") if isinstance(one, dict) else None
        try:
            raw = urlsafe_b64decode(x + "=" * (-len(x) % 4)) if isinstance(x, str) else b""
            found.append(Ed25519PublicKey.from_public_bytes(raw))
        except ValueError:
            continue  # a key of another kind
    return found


def _ids(body: bytes) -> set[object]:
    """Return the ids that a body names: a request that fal ran again has two."""
    content = read_json(body)
    if not isinstance(content, dict):
        return set()
    return {
        one
        for one in (content.get("request_id"), content.get("gateway_request_id"))
        if isinstance(one, str)
    }
