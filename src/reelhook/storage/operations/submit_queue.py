"""Operations that read jobs which no provider has accepted yet, in the order of `domain.turns`.

Each project's jobs are read from an index that has them in order, so the cost depends on the number
of projects that have waiting jobs, and not on the number of jobs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import merge
from itertools import islice
from typing import Any

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.turns import QueueKey
from reelhook.ports import ANY_BYTES, ListedJob, StoredJob
from reelhook.storage.operation import Operation, Statement, concurrently
from reelhook.storage.operations.rows import LISTED_JOB, STORED_JOB, listed_job_of, stored_job_of
from reelhook.storage.operations.turns import turns, waiting_projects

_WAITING = "account = ?1 AND project = ?2 AND status = 'accepted'"
_SIZE = """
coalesce(octet_length(image), 0) + coalesce(octet_length(provider_options), 0)
  + coalesce((SELECT CAST(sum(f.size) AS BIGINT) FROM job_files j
      JOIN files f ON f.project = j.project AND f.hash = j.hash
      WHERE j.job_id = jobs.id), 0) * 4 / 3
"""
"""The bytes of a job's media and options as texts; base64 makes files longer by a third."""
_IN_ORDER = "ORDER BY priority DESC, created_at, id"


def due(
    account: str, now: Instant, limit: int, bytes_max: int = ANY_BYTES
) -> Operation[tuple[list[StoredJob], Instant | None]]:
    """Return accepted jobs that are due, in turn, and the time when the next one is due.

    There is no such time if as many are due as may be returned.
    """
    projects = yield from waiting_projects(account)
    order = yield from turns(account, projects)
    found = yield from concurrently(
        [
            _keys("coalesce(submit_due_at, 0) <= ?4", account, project, limit, now)
            for project in projects
        ]
    )
    keys = list(islice(order.in_order(dict(zip(projects, found, strict=True))), limit))
    jobs = yield from _within(keys, bytes_max)
    if len(keys) == limit:
        return jobs, None
    later = yield Statement(
        "SELECT min(submit_due_at) FROM jobs"
        " WHERE account = ?1 AND status = 'accepted' AND submit_due_at > ?2",
        (account, now),
    )
    return jobs, later[0][0]


def waiting_elsewhere(
    account: str,
    others: Sequence[str],
    idle_since: Instant,
    limit: int,
    bytes_max: int = ANY_BYTES,
) -> Operation[list[StoredJob]]:
    """Return accepted jobs of other accounts that have been idle since then.

    Their order is that of the turns at `account`, which may take them. Jobs whose request named
    their account are left out. Jobs that wait because their own account's provider asked for a
    pause are included.
    """
    waiting = yield from concurrently([waiting_projects(other) for other in others])
    lines = [
        (other, project)
        for other, projects in zip(others, waiting, strict=True)
        for project in projects
    ]
    order = yield from turns(account, sorted({project for _, project in lines}))
    found = yield from concurrently(
        [_keys("NOT pinned AND updated_at <= ?4", *line, limit, idle_since) for line in lines]
    )
    keys: dict[str, list[list[QueueKey]]] = {project: [] for project in order.projects}
    for (_, project), of_account in zip(lines, found, strict=True):
        keys[project].append(of_account)
    merged = {project: merge(*several) for project, several in keys.items()}
    return (yield from _within(islice(order.in_order(merged), limit), bytes_max))


def _keys(
    condition: str, account: str, project: str, limit: int, at: Instant
) -> Operation[list[QueueKey]]:
    rows = yield Statement(
        f"SELECT -priority, created_at, id FROM jobs WHERE {_WAITING} AND {condition}"
        f" {_IN_ORDER} LIMIT ?3",
        (account, project, limit, at),
    )
    return [QueueKey(*row) for row in rows]


def _within(keys: Iterable[QueueKey], bytes_max: int) -> Operation[list[StoredJob]]:
    """Return the jobs in this order, up to the one that brings their size above `bytes_max`.

    Neither database reads a large value to determine its length.
    """
    ids = [key.job_id for key in keys]
    sizes = yield from _by_id(_SIZE, ids)
    chosen, total = list[str](), 0
    for job_id in ids:
        if total >= bytes_max:
            break
        chosen.append(job_id)
        total += sizes[job_id][0]
    rows = yield from _by_id(STORED_JOB, chosen)
    return [replace(stored_job_of(rows[job_id]), size=sizes[job_id][0]) for job_id in chosen]


def _by_id(columns: str, ids: Sequence[str]) -> Operation[dict[str, Sequence[Any]]]:
    """Return these columns of each job."""
    if not ids:
        return {}
    # A power of two, so that there are few statements to prepare.
    count = 1 << (len(ids) - 1).bit_length()
    numbers = ", ".join(f"?{number}" for number in range(1, count + 1))
    rows = yield Statement(
        f"SELECT id, {columns} FROM jobs WHERE id IN ({numbers})",
        (*ids, *[ids[-1]] * (count - len(ids))),
    )
    return {row[0]: row[1:] for row in rows}


def with_fallbacks(account: str, waiting_since: Instant, limit: int) -> Operation[list[ListedJob]]:
    """Return accepted jobs that have fallbacks and have waited for their model since then."""
    rows = yield Statement(
        f"SELECT {LISTED_JOB} FROM jobs WHERE account = ?1 AND status = 'accepted'"
        " AND fallbacks IS NOT NULL AND coalesce(model_since, created_at) < ?2"
        " ORDER BY project, priority DESC, created_at, id LIMIT ?3",
        (account, waiting_since, limit),
    )
    return [listed_job_of(row) for row in rows]


def ahead(job: Job) -> Operation[int]:
    """Return the number of accepted jobs of the same account that come before this one."""
    own = yield Statement(
        f"SELECT count(*) FROM jobs WHERE {_WAITING}"
        " AND (priority > ?3 OR (priority = ?3 AND (created_at, id) < (?4, ?5)))",
        (job.account, job.project, job.priority, job.created_at, job.id),
    )
    others = yield from waiting_projects(job.account)
    others = [project for project in others if project != job.project]
    order = yield from turns(job.account, [job.project, *others])
    place = order.place(job.project, own[0][0])
    counts = yield from concurrently(
        [_before(job, project, *order.count_before(project, place)) for project in others]
    )
    return int(own[0][0]) + sum(counts)


def _before(job: Job, project: str, most: int, tie: bool) -> Operation[int]:
    """Return how many jobs of another project come before this one.

    At most `most` have a lower place. `tie`: the next one has the same place.
    """
    count = yield Statement(
        f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {_WAITING} LIMIT ?3) AS before",
        (job.account, project, most),
    )
    if not tie or count[0][0] < most:
        return int(count[0][0])
    following = yield Statement(
        f"SELECT -priority, created_at, id FROM jobs WHERE {_WAITING}"
        f" {_IN_ORDER} LIMIT 1 OFFSET ?3",
        (job.account, project, most),
    )
    own = QueueKey(-job.priority, job.created_at, job.id)
    return most + sum(QueueKey(*row) < own for row in following)
