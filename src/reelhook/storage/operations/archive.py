"""Operations on the files of completed jobs."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from reelhook.domain.archive import ArchivedFile, FileState, PosterState, VideoFacts
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.ports import Lease, StoredJob
from reelhook.storage.operation import Operation, Statement, concurrently, query
from reelhook.storage.operations.leases import holds
from reelhook.storage.operations.ownership import of_project
from reelhook.storage.operations.removal import is_kept, later
from reelhook.storage.operations.rows import STORED_JOB, stored_job_of

_COLUMNS = tuple(field.name for field in fields(ArchivedFile))
FILE = ", ".join(_COLUMNS)
_STATE, _EXPIRES, _LATE, _AUDIO, _POSTER = (
    _COLUMNS.index(name) for name in ("state", "expires_at", "late", "has_audio", "poster_state")
)
_INSERT = (
    f"INSERT INTO archive ({FILE}) VALUES ({', '.join(f'?{n + 1}' for n in range(len(_COLUMNS)))})"
    " ON CONFLICT (job_id) DO NOTHING"
)
# The key of an upload that has begun stays, so that its object is found if nothing is recorded.
_UPDATE = (
    "UPDATE archive SET "
    + ", ".join(
        f"{name} = coalesce(?{number}, key)" if name == "key" else f"{name} = ?{number}"
        for number, name in enumerate(_COLUMNS, 1)
        if number > 1
    )
    + " WHERE job_id = ?1 AND state = 'waiting' RETURNING key"
)
_DUE = (
    f"SELECT {FILE} FROM archive WHERE account = ?1 AND state = 'waiting' AND due_at <= ?2"
    " AND late = {late} AND expires_at {expired} ?2 ORDER BY expires_at LIMIT ?3"
)
_DUE_IN_TURN = tuple(
    _DUE.format(late=late, expired=expired) for late in ("FALSE", "TRUE") for expired in (">", "<=")
)
_FOREVER = 2**62
"""The stored time at which a file expires if none is known, so that an index orders the files."""


def file_of(row: Sequence[Any]) -> ArchivedFile:
    """Read `FILE`."""
    values = list(row)
    if values[_EXPIRES] == _FOREVER:
        values[_EXPIRES] = None
    values[_STATE] = FileState(values[_STATE])
    values[_LATE] = bool(values[_LATE])
    if values[_AUDIO] is not None:
        values[_AUDIO] = bool(values[_AUDIO])
    if values[_POSTER] is not None:
        values[_POSTER] = PosterState(values[_POSTER])
    return ArchivedFile(*values)


def _values(file: ArchivedFile) -> tuple[Any, ...]:
    values: list[Any] = [getattr(file, name) for name in _COLUMNS]
    for index in (_STATE, _POSTER):
        values[index] = values[index] and values[index].value
    if values[_EXPIRES] is None:
        values[_EXPIRES] = _FOREVER
    return tuple(values)


def enroll(job: Job) -> Operation[None]:
    """Let the file of a job that has just completed be fetched."""
    file = ArchivedFile(
        job.id,
        job.project,
        job.account,
        due_at=job.updated_at,
        expires_at=job.content_expires_at,
    )
    yield Statement(_INSERT, _values(file))


def one(job_id: str, project: str | None = None) -> Operation[ArchivedFile | None]:
    """Return a job's file; None if the job has none, or is of another project."""
    owned, owner = of_project(project, 2)
    rows = yield Statement(f"SELECT {FILE} FROM archive WHERE job_id = ?1{owned}", (job_id, *owner))
    return file_of(rows[0]) if rows else None


def of_jobs(job_ids: Sequence[str]) -> Operation[list[ArchivedFile]]:
    """Return the files of these jobs, in no order. Jobs that have none are left out."""
    places = ", ".join(f"?{number}" for number in range(1, len(job_ids) + 1))
    rows = yield Statement(f"SELECT {FILE} FROM archive WHERE job_id IN ({places})", job_ids)
    return [file_of(row) for row in rows]


def due(account: str, now: Instant, limit: int) -> Operation[list[ArchivedFile]]:
    """Return an account's files that are due: late ones last, the soonest to expire first.

    Those that have expired come after the others: they may be many, and most of them are gone.
    """
    turns = yield from concurrently([query(sql, (account, now, limit)) for sql in _DUE_IN_TURN])
    return [file_of(row) for rows in turns for row in rows][:limit]


def next_at(account: str, after: Instant) -> Operation[Instant | None]:
    """Return the time at which a file of the account is due next, later than `after`, or None."""
    rows = yield Statement(
        "SELECT min(due_at) FROM archive WHERE account = ?1 AND state = 'waiting' AND due_at > ?2",
        (account, after),
    )
    at: Instant | None = rows[0][0]
    return at


def record(file: ArchivedFile, lease: Lease | None = None) -> Operation[bool]:
    """Write the state of a file that still waits. Return False if it no longer does."""
    if not (yield from holds(lease)):
        return False
    written = yield Statement(_UPDATE, _values(file))
    if written and file.state is FileState.STORED:
        yield is_kept(file.key or "")
    elif written and written[0][0] is not None and file.state is FileState.LOST:
        yield from later([written[0][0]], 0)
    return bool(written)


def without_poster(limit: int) -> Operation[list[ArchivedFile]]:
    """Return stored files whose poster is still to be made, newest first."""
    rows = yield Statement(
        f"SELECT {FILE} FROM archive WHERE poster_state = 'waiting' AND state = 'stored'"
        " ORDER BY stored_at DESC LIMIT ?1",
        (limit,),
    )
    return [file_of(row) for row in rows]


def record_poster(
    job_id: str, poster: tuple[str, int] | None, facts: VideoFacts | None
) -> Operation[bool]:
    """Record a poster's key and its size in bytes, or that there is none, and the facts.

    Return False if the file is no longer stored.
    """
    known = facts or VideoFacts()
    state = PosterState.NONE if poster is None else PosterState.MADE
    rows = yield Statement(
        "UPDATE archive SET poster_state = ?2, poster_key = ?3, poster_size = ?4, duration = ?5,"
        " width = ?6, height = ?7, frame_rate = ?8, codec = ?9, has_audio = ?10"
        " WHERE job_id = ?1 AND state = 'stored' RETURNING 1",
        (
            job_id,
            state.value,
            *(poster or (None, None)),
            known.duration,
            known.width,
            known.height,
            known.frame_rate,
            known.codec,
            known.has_audio,
        ),
    )
    if rows and poster is not None:
        yield is_kept(poster[0])
    return bool(rows)


def page(
    after: str, limit: int, project: str | None = None, state: FileState | None = FileState.STORED
) -> Operation[list[ArchivedFile]]:
    """Return files in the order of their jobs' ids, after the job `after`.

    Only those in this state, or in any; only those of this project, or of all.
    """
    rows = yield Statement(
        f"SELECT {FILE} FROM archive WHERE job_id > ?1"
        " AND (CAST(?3 AS TEXT) IS NULL OR project = ?3)"
        " AND (CAST(?4 AS TEXT) IS NULL OR state = ?4) ORDER BY job_id LIMIT ?2",
        (after, limit, project, state and state.value),
    )
    return [file_of(row) for row in rows]


def page_with_jobs(
    after: str, limit: int, project: str | None = None
) -> Operation[list[tuple[ArchivedFile, StoredJob]]]:
    """Return stored files with their jobs, in the order of the jobs' ids."""
    files = yield from page(after, limit, project)
    found = yield from concurrently(
        [query(f"SELECT {STORED_JOB} FROM jobs WHERE id = ?1", (file.job_id,)) for file in files]
    )
    return [(file, stored_job_of(rows[0])) for file, rows in zip(files, found, strict=True) if rows]


def totals(project: str | None = None) -> Operation[tuple[int, int]]:
    """Return the number of stored files, and their bytes."""
    rows = yield Statement(
        "SELECT count(*), coalesce(sum(size), 0) FROM archive WHERE state = 'stored'"
        " AND (CAST(?1 AS TEXT) IS NULL OR project = ?1)",
        (project,),
    )
    return int(rows[0][0]), int(rows[0][1])
