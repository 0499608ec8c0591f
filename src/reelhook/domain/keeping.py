"""The time and the space for which the archive keeps files."""

import math
from dataclasses import dataclass

from reelhook.domain.event import DAY_MILLISECONDS, Instant

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The limits of the archive, or of one project in it.

    `keep_days` is the age at which a file is removed; infinity: it is kept. `bytes_max` is the most
    that all files may have together, above which the oldest ones are removed; None: any.
    """

    keep_days: float = math.inf
    bytes_max: int | None = None

    def kept_since(self, now: Instant) -> Instant | None:
        """Return the time before which stored files are too old; None: none is."""
        if math.isinf(self.keep_days):
            return None
        return now - round(self.keep_days * DAY_MILLISECONDS)

    @property
    def age_reason(self) -> str:
        """The reason why a file that is too old is removed."""
        return f"it was older than {self.keep_days:g} days"

    def size_reason(self, project: str | None = None) -> str:
        """Return the reason why the oldest file is removed."""
        whose = "the archive" if project is None else "the archive of its project"
        return f"{whose} was larger than {(self.bytes_max or 0) / GIB:g} GiB"


@dataclass(frozen=True, slots=True)
class ExcessFile:
    """A stored file that the limits say to remove. `size` is in bytes, with its poster."""

    job_id: str
    project: str
    size: int
    stored_at: Instant
    reason: str
