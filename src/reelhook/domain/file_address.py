"""The addresses at which providers fetch files of requests. They expire, and can't be guessed."""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256

from reelhook.domain.event import DAY_MILLISECONDS, Instant

VALID_MILLISECONDS = DAY_MILLISECONDS
"""The time for which an address is valid: a provider may fetch a file only once a job begins."""
_MAC_CHARACTERS = 32
"""128 bits in hex."""
_DIGITS_MAX = 12


@dataclass(frozen=True, slots=True)
class FileAddresses:
    """Makes the addresses and reads them; `key` belongs to the installation.

    `public_url` None: no provider could reach us, so there are none.
    """

    public_url: str | None = None
    key: str = field(default="", repr=False)

    def address(self, project: str, file_hash: str, now: Instant) -> str | None:
        """Return the address of a stored file of a project."""
        if self.public_url is None:
            return None
        named = f"{project}.{file_hash}.{(now + VALID_MILLISECONDS) // 1000}"
        return f"{self.public_url}/providers/files/{named}.{self._mac(named)}"

    def file(self, token: str, now: Instant) -> tuple[str, str] | None:
        """Return the project and the hash that an address names.

        None if it has expired, or is not one of ours.
        """
        named, _, mac = token.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(named).encode()):
            return None
        rest, _, until = named.rpartition(".")
        project, _, file_hash = rest.rpartition(".")
        expired = len(until) > _DIGITS_MAX or now >= int(until) * 1000
        return None if expired else (project, file_hash)

    def _mac(self, named: str) -> str:
        return hmac.digest(self.key.encode(), f"file:{named}".encode(), sha256).hex()[
            :_MAC_CHARACTERS
        ]
