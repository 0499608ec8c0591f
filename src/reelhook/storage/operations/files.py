"""Operations on the files of requests. A file is stored before the first job that refers to it.

So a large file delays no other write. A job holds its files by rows of `job_files`, and an upload
holds one for a day. A file that nothing holds is removed: at once with its last job's request, or
by retention.
"""

from collections.abc import Collection, Sequence

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.media import File
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_media import stored_files
from reelhook.ports import Lease, NewJob, Position, Removal
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations.leases import holds
from reelhook.storage.operations.rows import MEDIA_COLUMNS, media_of_request

FILES_SCANNED = 200
BYTES_REMOVED = 16 * 1024 * 1024
"""The bytes that one batch removes, or those of one file."""
# Another process that stores the same file may need seconds for it.
_EXISTS = (
    "SELECT EXISTS (SELECT 1 FROM files WHERE project = ?1 AND hash = ?2)"
    " /*pg , set_config('lock_timeout', '10s', TRUE) */"
)
_INSERT = (
    "INSERT INTO files (project, hash, content_type, size, created_at, body)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (project, hash) DO NOTHING"
)
_PREPARE = (
    "UPDATE jobs SET version = version + 1, unprepared_since = NULL, updated_at = ?3,"
    " model_since = ?4, "
    + ", ".join(f"{name} = ?{number}" for number, name in enumerate(MEDIA_COLUMNS, start=5))
    + " WHERE id = ?1 AND version = ?2 AND status = 'accepted' RETURNING 1"
)
_UNUSED = (
    "NOT EXISTS (SELECT 1 FROM job_files j WHERE j.project = files.project AND j.hash = files.hash)"
    " AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.project = files.project"
    " AND u.hash = files.hash AND u.kept_until >= {at})"
)


_EVER = 2**62


class FilesGoneError(Exception):
    """Files that a new job refers to are not stored: `hashes` are theirs."""

    def __init__(self, hashes: Collection[str]) -> None:
        super().__init__(", ".join(hashes))
        self.hashes = frozenset(hashes)


def keep(project: str, files: Sequence[File], now: Instant) -> Operation[None]:
    """Store files, except those that the project has."""
    for file in files:
        file_hash = file.hash
        if not (yield Statement(_EXISTS, (project, file_hash)))[0][0]:
            values = (project, file_hash, file.content_type, len(file.body), now, file.body)
            yield Statement(_INSERT, values)


def of_project(project: str, hashes: Sequence[str]) -> Operation[dict[str, File]]:
    """Return those of these files of a project that exist, by their hashes."""
    found: dict[str, File] = {}
    for file_hash in hashes:
        rows = yield Statement(
            "SELECT content_type, body FROM files WHERE project = ?1 AND hash = ?2",
            (project, file_hash),
        )
        if rows:
            found[file_hash] = File(*rows[0])
    return found


def held(new: NewJob) -> Operation[list[str]]:
    """Return the stored files of a new job's request; none is removed before the job is stored.

    Raises `FilesGoneError` if one of them is not stored, unless none came with the job.
    """
    hashes = stored_files(new.request)
    found = yield from _locked(new.job.project, hashes)
    if new.files and len(found) < len(hashes):
        raise FilesGoneError(set(hashes) - set(found))
    return found


def _locked(project: str, hashes: Sequence[str]) -> Operation[list[str]]:
    """Return those of these files that exist; none is removed before the transaction ends."""
    if not hashes:
        return []
    rows = yield Statement(
        f"SELECT hash FROM files WHERE project = ?1 AND hash IN ({_numbers(hashes)})"
        " ORDER BY hash /*pg FOR KEY SHARE */",
        (project, *hashes),
    )
    return [row[0] for row in rows]


def link(job: Job, hashes: Sequence[str]) -> Operation[None]:
    """Record that a job's request refers to these files."""
    yield from concurrently(
        [
            query(
                "INSERT INTO job_files (job_id, project, hash) VALUES (?1, ?2, ?3)"
                " ON CONFLICT (job_id, hash) DO NOTHING",
                (job.id, job.project, file_hash),
            )
            for file_hash in hashes
        ]
    )


def prepared(job: Job, request: VideoRequest, lease: Lease | None) -> Operation[bool]:
    """Write the media of a waiting job's request once their files are stored.

    Return False if the job has changed since it was read, if one of the files was removed in
    between, or if the lease was lost.
    """
    hashes = stored_files(request)
    found = yield from _locked(job.project, hashes)
    if len(found) < len(hashes) or not (yield from holds(lease)):
        return False
    rows = yield Statement(
        _PREPARE,
        (job.id, job.version, job.updated_at, job.model_since, *media_of_request(request)),
    )
    if rows:
        yield from link(job, found)
    return bool(rows)


def unprepared(account: str, since: Instant, limit: int) -> Operation[list[str]]:
    """Return the ids of jobs whose files are to be fetched, if they wait since then or later.

    They are in the order of waiting.
    """
    rows = yield Statement(
        "SELECT id FROM jobs WHERE account = ?1 AND status = 'accepted'"
        " AND unprepared_since IS NOT NULL AND unprepared_since >= ?2"
        " ORDER BY unprepared_since LIMIT ?3",
        (account, since, limit),
    )
    return [row[0] for row in rows]


def of_job(job_id: str) -> Operation[list[str]]:
    """Return the hashes of a job's files."""
    rows = yield Statement("SELECT hash FROM job_files WHERE job_id = ?1", (job_id,))
    return [row[0] for row in rows]


def remove_unused(project: str, hashes: Sequence[str], now: Instant) -> Operation[int]:
    """Remove those of these files that no request refers to, and no upload keeps.

    Return their number.
    """
    if not hashes:
        return 0
    numbers = _numbers(hashes)
    named = f"project = ?1 AND hash IN ({numbers})"
    # A job that is being stored holds its files until it is visible to the next statement.
    yield Statement(
        f"SELECT hash FROM files WHERE {named} ORDER BY hash /*pg FOR UPDATE */",
        (project, *hashes),
    )
    rows = yield Statement(
        f"DELETE FROM files WHERE {named} AND {_UNUSED.format(at=f'?{len(hashes) + 2}')}"
        " RETURNING 1",
        (project, *hashes, now),
    )
    return len(rows)


def expired(position: Position, before: Instant) -> Operation[Removal]:
    """Remove the next unused files that were stored, and as uploads kept, until before that."""
    rows = yield Statement(
        f"SELECT project, hash, size, created_at < ?1 AND {_UNUSED.format(at='?1')} FROM files"
        " WHERE (project, hash) > (?2, ?3) ORDER BY project, hash LIMIT ?4",
        (before, *(position or ("", "")), FILES_SCANNED),
    )
    removed, size, scanned = 0, 0, 0
    for project, file_hash, bytes_, unused in rows:
        if unused and removed and size + bytes_ > BYTES_REMOVED:
            break
        scanned += 1
        if unused:
            size += bytes_
            removed += yield from remove_unused(project, [file_hash], before)
    at_end = scanned == len(rows) < FILES_SCANNED
    return Removal(removed, None if at_end else tuple(rows[scanned - 1][:2]))


def remove_of_project(project: str) -> Operation[bool]:
    """Remove the next files of a project without jobs. Return False if there were none."""
    rows = yield Statement(
        "SELECT hash, size FROM files WHERE project = ?1 ORDER BY hash LIMIT ?2",
        (project, FILES_SCANNED),
    )
    doomed, size = list[str](), 0
    for file_hash, bytes_ in rows:
        size += bytes_
        if doomed and size > BYTES_REMOVED:
            break
        doomed.append(file_hash)
    return bool(doomed) and (yield from remove_unused(project, doomed, _EVER)) > 0


def _numbers(hashes: Sequence[str]) -> str:
    return ", ".join(f"?{number}" for number in range(2, len(hashes) + 2))
