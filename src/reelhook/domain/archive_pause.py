"""The reason why finished files are not stored at present."""

from dataclasses import dataclass
from enum import StrEnum

from reelhook.domain.event import Instant


class PauseCause(StrEnum):
    """The cause of a pause of the archive."""

    DISK_FULL = "disk_full"
    """Too little of a disk is free: the spool's, or that of the archive's folder."""
    STORE_UNAVAILABLE = "store_unavailable"
    """The store of files refuses, does not respond, or keeps other bytes than it was given."""


@dataclass(frozen=True, slots=True)
class ArchivePause:
    """A pause of the archive: nothing is stored until its cause is gone.

    `message` has the details, such as the numbers of bytes, or the store's own words.
    """

    since: Instant
    cause: PauseCause
    message: str
