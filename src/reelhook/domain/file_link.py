"""Signed links: one signature opens the video and the poster of one job, for a while or for good.

None of them is stored.
"""

import hmac
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import sha256

from reelhook.domain.event import Instant

SIGNATURE = "signature"
EXPIRES = "expires"
_DIGITS_MAX = 12


class LinkState(Enum):
    """The state of a link that a request presents."""

    VALID = auto()
    EXPIRED = auto()
    """We signed it, but it no longer opens anything."""
    FORGED = auto()
    """We did not sign it for this job."""


@dataclass(frozen=True, slots=True)
class FileLinks:
    """Signs links and checks them. `lifetime_seconds` None: links without an end are valid."""

    key: str = field(repr=False)
    lifetime_seconds: float | None = None

    def query(self, job_id: str, made_at: Instant) -> str:
        """Return the query of a link: the same for the same job and time."""
        if self.lifetime_seconds is None:
            return f"?{SIGNATURE}={self._signature(job_id)}"
        expires = str(int(made_at / 1000 + self.lifetime_seconds))
        return f"?{EXPIRES}={expires}&{SIGNATURE}={self._signature(job_id, expires)}"

    def state(self, job_id: str, signature: str, expires: str | None, now: Instant) -> LinkState:
        """Return the state of a link to a job's files.

        A link that names its end is valid until then. One without an end is expired while
        `lifetime_seconds` is set: otherwise no link that was given out earlier would ever end.
        """
        is_time = expires is None or (
            len(expires) <= _DIGITS_MAX and expires.isascii() and expires.isdecimal()
        )
        ours = self._signature(job_id, expires if is_time else None)
        if not is_time or not hmac.compare_digest(signature.encode(), ours.encode()):
            return LinkState.FORGED
        if expires is None:
            return LinkState.VALID if self.lifetime_seconds is None else LinkState.EXPIRED
        return LinkState.VALID if now < int(expires) * 1000 else LinkState.EXPIRED

    def _signature(self, job_id: str, expires: str | None = None) -> str:
        # The first form is that of links that were given out before links could expire.
        text = f"download:{job_id}" if expires is None else f"link:{expires}:{job_id}"
        return hmac.digest(self.key.encode(), text.encode(), sha256).hex()
