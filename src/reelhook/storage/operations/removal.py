"""Operations that remove files from the archive.

A file's row is removed first, and its objects are queued in the same transaction. They are deleted
later, so a store that is down loses no deletion, and no object is left that nothing names.
"""

from collections.abc import Iterable, Sequence

from reelhook.domain.archive import FileState, PosterState, poster_key
from reelhook.domain.event import Instant
from reelhook.domain.keeping import ExcessFile, FileLimits
from reelhook.storage.operation import Operation, Row, Statement, StatementBatch

WRITING_MILLISECONDS = 3600 * 1000
"""The time for which an object of a file that was removed may still be being written."""
_SIZE = "coalesce(size, 0) + coalesce(poster_size, 0)"
_EXCESS = f"job_id, project, {_SIZE}, stored_at"
_AGED = (
    f"SELECT {_EXCESS} FROM archive WHERE project = ?1 AND state = 'stored' AND stored_at < ?2"
    " ORDER BY stored_at, job_id LIMIT ?3"
)
_OLDEST_OF = (
    f"SELECT {_EXCESS} FROM archive WHERE project = ?1 AND state = 'stored'"
    " ORDER BY stored_at, job_id LIMIT ?2"
)
_OLDEST = (
    f"SELECT {_EXCESS} FROM archive WHERE state = 'stored' ORDER BY stored_at, job_id LIMIT ?1"
)
_SUMS = f"SELECT project, sum({_SIZE}) FROM archive WHERE state = 'stored' GROUP BY project"
_LIMITS = (
    "SELECT id, archive_keep_days, archive_bytes_max FROM projects"
    " WHERE archive_keep_days IS NOT NULL OR archive_bytes_max IS NOT NULL"
)
_QUEUE = "INSERT INTO removed_objects (key, due_at) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING"
_QUEUE_AT = (
    "INSERT INTO removed_objects (key, due_at) VALUES (?1, ?2)"
    " ON CONFLICT (key) DO UPDATE SET due_at = excluded.due_at"
)
_OBJECTS = (
    "SELECT job_id, state, key, poster_key, poster_state FROM archive WHERE key IS NOT NULL"
    " AND job_id IN ({}) ORDER BY job_id /*pg FOR UPDATE */"
)
_REMOVE = (
    "UPDATE archive SET state = ?2, due_at = NULL, key = NULL, poster_key = NULL,"
    " poster_state = NULL, error = ?3 WHERE job_id = ?1 AND state = 'stored'"
)


class _Found:
    """The files found so far, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self.files: dict[str, ExcessFile] = {}
        self._limit = limit

    @property
    def left(self) -> int:
        """The number of files that may still be added."""
        return self._limit - len(self.files)

    def add(self, rows: Iterable[Row], reason: str) -> None:
        """Add files."""
        for job_id, project, size, stored_at in rows:
            self.files[job_id] = ExcessFile(job_id, project, int(size), stored_at, reason)

    def size(self, project: str | None = None) -> int:
        """Return the bytes that removing them would free."""
        found = self.files.values()
        return sum(file.size for file in found if project in {None, file.project})

    def add_oldest(self, rows: Sequence[Row], excess: int, reason: str) -> None:
        """Add the oldest files until so many more bytes are free."""
        for row in rows:
            if excess <= 0 or not self.left:
                return
            if row[0] not in self.files:
                self.add([row], reason)
                excess -= int(row[2])


def excess(limits: FileLimits, now: Instant, limit: int) -> Operation[list[ExcessFile]]:
    """Return at most `limit` files that the limits say to remove now; see `KeepingStore`."""
    found = _Found(limit)
    own = {row[0]: row[1:] for row in (yield Statement(_LIMITS))}
    sums = {row[0]: int(row[1]) for row in (yield Statement(_SUMS))}
    for project, total in sorted(sums.items()):
        days, most = own.get(project, (None, None))
        at = FileLimits(limits.keep_days if days is None else days, most)
        since = at.kept_since(now)
        if since is not None and found.left:
            rows = yield Statement(_AGED, (project, since, found.left))
            found.add(rows, at.age_reason)
        if most is not None and (over := total - found.size(project) - most) > 0:
            rows = yield Statement(_OLDEST_OF, (project, limit))
            found.add_oldest(rows, over, at.size_reason(project))
    if limits.bytes_max is not None:
        over = sum(sums.values()) - found.size() - limits.bytes_max
        if over > 0 and found.left:
            rows = yield Statement(_OLDEST, (limit,))
            found.add_oldest(rows, over, limits.size_reason())
    return list(found.files.values())


def remove(files: Sequence[ExcessFile], now: Instant) -> Operation[None]:
    """Remove these files, with the reason of each; their objects are queued."""
    yield from release([file.job_id for file in files], now)
    for file in files:
        yield Statement(_REMOVE, (file.job_id, FileState.REMOVED.value, file.reason))


def release(job_ids: Sequence[str], now: Instant) -> Operation[None]:
    """Queue the objects of these jobs' files. The caller removes or changes the rows."""
    if not job_ids:
        return
    places = ", ".join(f"?{number}" for number in range(1, len(job_ids) + 1))
    queued: list[tuple[str, Instant]] = []
    written_by = now + WRITING_MILLISECONDS
    for job_id, state, key, poster, poster_state in (
        yield Statement(_OBJECTS.format(places), job_ids)
    ):
        queued.append((key, now if state == FileState.STORED.value else written_by))
        if poster is not None:
            queued.append((poster, now))
        if poster_state == PosterState.WAITING.value:
            queued.append((poster_key(job_id), written_by))
    if queued:
        yield StatementBatch(tuple(Statement(_QUEUE, one) for one in queued))


def forget_file(job_id: str, now: Instant) -> Operation[None]:
    """Remove a job's file together with what is known of it."""
    yield from release([job_id], now)
    yield Statement("DELETE FROM archive WHERE job_id = ?1", (job_id,))


def later(keys: Sequence[str], at: Instant) -> Operation[None]:
    """Queue objects that no row names, or that are queued already, for that time."""
    yield StatementBatch(tuple(Statement(_QUEUE_AT, (key, at)) for key in keys))


def is_kept(key: str) -> Statement:
    """Return the statement that takes an object out of the queue, because it is stored again."""
    return Statement("DELETE FROM removed_objects WHERE key = ?1", (key,))


def due(now: Instant, limit: int) -> Operation[list[str]]:
    """Return the keys of queued objects that may be deleted now."""
    rows = yield Statement(
        "SELECT key FROM removed_objects WHERE due_at <= ?1 ORDER BY due_at, key LIMIT ?2",
        (now, limit),
    )
    return [row[0] for row in rows]


def deleted(keys: Sequence[str]) -> Operation[None]:
    """Record that these objects are gone."""
    yield StatementBatch(tuple(map(is_kept, keys)))


def is_queued(key: str) -> Operation[bool]:
    """Return True if an object waits to be deleted."""
    return bool((yield Statement("SELECT 1 FROM removed_objects WHERE key = ?1", (key,))))
