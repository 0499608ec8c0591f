"""Sessions of browsers: signed cookies that end with the key that began them.

A session names its key by the hash of the key's text, so it needs no place on the server, and every
process accepts it. It ends when that text does: each page asks for the key again.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from reelhook.domain.event import Instant
from reelhook.doors.access import Access

SESSION_SECONDS = 12 * 3600
_PARTS = 4
_TEXT_MAX = 512
_OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Session:
    """A session. `key_hash` is the hash of its key's text; None: it is the operator's."""

    key_hash: str | None
    expires_at: Instant
    text: str = field(repr=False)


class Sessions:
    """Makes and reads the sessions of one installation."""

    def __init__(self, access: Access) -> None:
        self._access = access
        # Cookies ignore ports: two installations on one host must not share a name.
        self.cookie = f"reelhook_session_{self._digest('cookie')[:8]}"

    def begin(self, key_hash: str | None, now: Instant) -> Session:
        """Return a new session."""
        expires_at = now + SESSION_SECONDS * 1000
        body = f"{key_hash or _OPERATOR}.{expires_at}.{secrets.token_hex(16)}"
        return Session(key_hash, expires_at, f"{body}.{self._signature(body)}")

    def read(self, cookies: Mapping[str, str], now: Instant) -> Session | None:
        """Return the session of a request; None if it has none that is valid.

        Whether its key is still accepted is for the caller to ask.
        """
        text = cookies.get(self.cookie, "")
        body, _, signature = text.rpartition(".")
        parts = text.split(".")
        if len(parts) != _PARTS or len(text) > _TEXT_MAX or not text.isascii():
            return None
        if not hmac.compare_digest(signature, self._signature(body)):
            return None
        expires_at = int(parts[1])
        if now >= expires_at:
            return None
        return Session(None if parts[0] == _OPERATOR else parts[0], expires_at, text)

    def form_token(self, cookies: Mapping[str, str]) -> str:
        """Return the token that forms of a session carry, against forms of foreign pages.

        Without a session, where no key is needed, it is the installation's.
        """
        return self._digest(f"form:{cookies.get(self.cookie, '')}")

    def _signature(self, body: str) -> str:
        # An operator's session ends with the API key that began it.
        of_operator = body.startswith(f"{_OPERATOR}.")
        return self._digest(f"session:{self._access.api_key if of_operator else ''}:{body}")

    def _digest(self, text: str) -> str:
        return hmac.digest(self._access.browser_key.encode(), text.encode(), sha256).hex()
