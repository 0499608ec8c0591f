"""The archive: what is known of a finished video's file, and its pure transitions."""

from dataclasses import dataclass, replace
from enum import StrEnum

from reelhook.domain.event import DAY_MILLISECONDS, Instant

FIRST_WAIT_MILLISECONDS = 5_000
LONGEST_WAIT_MILLISECONDS = 10 * 60_000
"""A failed fetch is tried again after the first wait, then after twice the last one, up to this."""
MISSING_MILLISECONDS = 10 * 60_000
"""The time for which a provider must not know its copy before the file counts as lost."""
GRACE_MILLISECONDS = DAY_MILLISECONDS
"""The time for which a file is tried after its expiry, if the provider never says it is gone."""
TRIES_MAX = 1_000
"""The tries of a file whose expiry is not known: seven days."""


def poster_key(job_id: str) -> str:
    """Return the key of a job's poster in the archive."""
    return f"posters/{job_id}.jpg"


class FileState(StrEnum):
    """The state of a job's file."""

    WAITING = "waiting"
    """The provider has it, as far as is known; it is still to be fetched."""
    STORED = "stored"
    """It is whole and verified in the archive."""
    LOST = "lost"
    """The provider no longer has it, and it was never stored."""
    REMOVED = "removed"
    """It was stored, and then removed by its age, by the archive's size, or with its job."""


class PosterState(StrEnum):
    """The state of a job's poster."""

    WAITING = "waiting"
    MADE = "made"
    NONE = "none"
    """None can be made of this file."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The facts about a video that its file shows; None: not known.

    `duration` is in seconds, `frame_rate` in frames per second.
    """

    duration: float | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    codec: str | None = None
    has_audio: bool | None = None


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """The file of one completed job.

    `due_at` is the time of the next try; None: nothing is to be done. `expires_at` is the time at
    which the provider deletes its copy, as far as is known. `late` files completed before there was
    an archive, and are fetched after all others. `missing_since` is the time since which the
    provider has not known its copy. `key` names the object in the archive, `size` is in bytes, and
    `sha256` is in hexadecimal. A waiting file has a key once an upload of it has begun.
    """

    job_id: str
    project: str
    account: str
    state: FileState = FileState.WAITING
    due_at: Instant | None = None
    expires_at: Instant | None = None
    late: bool = False
    attempts: int = 0
    missing_since: Instant | None = None
    error: str | None = None
    key: str | None = None
    size: int | None = None
    sha256: str | None = None
    content_type: str | None = None
    stored_at: Instant | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    codec: str | None = None
    has_audio: bool | None = None
    poster_state: PosterState | None = None
    poster_key: str | None = None
    poster_size: int | None = None

    @property
    def facts(self) -> VideoFacts:
        """The facts about the video."""
        return VideoFacts(
            self.duration, self.width, self.height, self.frame_rate, self.codec, self.has_audio
        )

    @property
    def gone(self) -> bool:
        """True if the file was lost because its provider does not know it.

        One that was given up for another reason may still be there.
        """
        return self.state is FileState.LOST and self.missing_since is not None

    def failed(self, error: str, now: Instant) -> "ArchivedFile":
        """Try again later, because a try has failed; after very many, give the file up."""
        expired = self.expires_at is not None and now - self.expires_at >= GRACE_MILLISECONDS
        if expired or self.attempts >= TRIES_MAX:
            return self.lost(error)
        wait = min(FIRST_WAIT_MILLISECONDS * 2 ** min(self.attempts, 20), LONGEST_WAIT_MILLISECONDS)
        return replace(self, attempts=self.attempts + 1, error=error, due_at=now + wait)

    def missing(self, error: str, now: Instant) -> "ArchivedFile":
        """Try again later, because the provider does not know its copy; give it up in the end."""
        since = now if self.missing_since is None else self.missing_since
        expired = self.expires_at is not None and now >= self.expires_at
        if expired or now - since >= MISSING_MILLISECONDS:
            return replace(self, missing_since=since).lost(error)
        again = replace(self, missing_since=since).failed(error, now)
        # Old files are many, and most of them are gone: each is asked for twice.
        return replace(again, due_at=since + MISSING_MILLISECONDS) if self.late else again

    def postponed(self, until: Instant) -> "ArchivedFile":
        """Try again at that time, for a reason that is not the file's."""
        return replace(self, due_at=until)

    def storing(self, key: str) -> "ArchivedFile":
        """Note the object that is about to be written: a process that dies may leave it."""
        return replace(self, key=key)

    def stored(
        self, key: str, size: int, sha256: str, content_type: str, now: Instant
    ) -> "ArchivedFile":
        """Record that the whole file is in the archive. Its poster is made next."""
        return replace(
            self,
            state=FileState.STORED,
            due_at=None,
            missing_since=None,
            error=None,
            key=key,
            size=size,
            sha256=sha256,
            content_type=content_type,
            stored_at=now,
            poster_state=PosterState.WAITING,
        )

    def lost(self, error: str) -> "ArchivedFile":
        """Give the file up: the provider no longer has it."""
        return replace(self, state=FileState.LOST, due_at=None, error=error)
