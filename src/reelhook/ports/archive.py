"""Port for what the store keeps about the files of completed jobs."""

from collections.abc import Sequence
from typing import Protocol

from reelhook.domain.archive import ArchivedFile, VideoFacts
from reelhook.domain.event import Instant
from reelhook.domain.keeping import ExcessFile, FileLimits
from reelhook.ports.job_records import StoredJob
from reelhook.ports.leases import Lease


class ArchivedFileReads(Protocol):
    """Reads what is known about a job's file."""

    async def archived_file(self, job_id: str, project: str | None = None) -> ArchivedFile | None:
        """Return a job's file; None if the job has none, or is of another project."""
        ...

    async def archived_files_of(self, job_ids: Sequence[str]) -> list[ArchivedFile]:
        """Return the files of these jobs, in no order. Jobs that have none are left out."""
        ...


class ArchiveStore(ArchivedFileReads, Protocol):
    """The part of the store that archiving needs."""

    async def files_to_archive(self, account: str, now: Instant, limit: int) -> list[ArchivedFile]:
        """Return an account's files that are due: late ones last, the soonest to expire first.

        Those that have expired come after the others.
        """
        ...

    async def next_archiving_at(self, account: str, after: Instant) -> Instant | None:
        """Return the time at which a file of the account is due next, later than `after`.

        None if no file waits for such a time.
        """
        ...

    async def job(self, job_id: str) -> StoredJob:
        """Return a job. Raises `JobNotFoundError`."""
        ...

    async def record_file(self, file: ArchivedFile, lease: Lease | None = None) -> bool:
        """Write the state of a file that still waits. Return False if it no longer does.

        Also False if the lease was lost.
        """
        ...

    async def delete_later(self, keys: Sequence[str], at: Instant) -> None:
        """Queue objects that no file has, or put off their deletion, until that time."""
        ...


class PosterStore(Protocol):
    """The part of the store that making posters needs."""

    async def files_without_poster(self, limit: int) -> list[ArchivedFile]:
        """Return stored files whose poster is still to be made, newest first."""
        ...

    async def record_poster(
        self, job_id: str, poster: tuple[str, int] | None, facts: VideoFacts | None
    ) -> bool:
        """Record a poster's key and its size in bytes, or that there is none, and the facts.

        Return False if the file is no longer stored.
        """
        ...


class KeepingStore(Protocol):
    """The part of the store that the archive's limits need."""

    async def excess_files(
        self, limits: FileLimits, now: Instant, limit: int
    ) -> Sequence[ExcessFile]:
        """Return at most `limit` stored files that are too old, or the oldest above a size.

        `limits` are the archive's. Projects may have their own: an age, which holds in place of
        the archive's, and a size, which holds in addition.
        """
        ...

    async def remove_archived(self, files: Sequence[ExcessFile], now: Instant) -> None:
        """Remove these files from the archive. Their objects are deleted later."""
        ...


class RemovedObjectStore(Protocol):
    """The part of the store that deleting objects needs: those whose files were removed."""

    async def objects_to_delete(self, now: Instant, limit: int) -> list[str]:
        """Return the keys of objects that may be deleted now."""
        ...

    async def record_deleted(self, keys: Sequence[str]) -> None:
        """Record that these objects are gone."""
        ...

    async def delete_later(self, keys: Sequence[str], at: Instant) -> None:
        """Queue objects that no file has, or put off their deletion, until that time."""
        ...
