"""Browser tokens: each reads one job for a while. They are signed, and none of them is stored."""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from hashlib import sha256

from reelhook.domain.event import Instant

PREFIX = "rht_"
LIFETIME_SECONDS_MAX = 24 * 3600
_CHARACTERS_MAX = 1024
_MAC_BYTES = 32


@dataclass(frozen=True, slots=True)
class BrowserToken:
    """The content of a token. It ends with the key that made it; `key_id` None: the operator's."""

    job_id: str
    project: str
    key_id: str | None
    expires_at: Instant

    def signed(self, secret: str) -> str:
        """Return the token's text."""
        fields = [self.job_id, self.project, self.key_id, self.expires_at]
        content = json.dumps(fields, separators=(",", ":")).encode()
        return PREFIX + _base64(_mac(content, secret) + content)


def is_browser_token(text: str) -> bool:
    """Return True if the text begins like a browser token."""
    return text.startswith(PREFIX)


def read_browser_token(text: str, secret: str) -> BrowserToken | None:
    """Return the content of a token, even of one that has expired; None if we did not sign it."""
    if len(text) > _CHARACTERS_MAX or not text.isascii():
        return None
    body = text.removeprefix(PREFIX)
    try:
        signed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return None
    mac, content = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(content, secret)):
        return None
    job_id, project, key_id, expires_at = json.loads(content)
    return BrowserToken(job_id, project, key_id, expires_at)


def _mac(content: bytes, secret: str) -> bytes:
    return hmac.digest(secret.encode(), content, sha256)


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
