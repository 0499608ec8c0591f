"""Operations that read jobs which no provider has accepted yet, in the order of `domain.turns`.

Each project's jobs are read from an index that has them in order, so the cost depends on the number
of projects that have waiting jobs, and not on the number of jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.turns import Head, QueueKey, Turns, merged
from reelhook.ports import ANY_BYTES, ListedJob, StoredJob
from reelhook.storage.operation import Operation, Statement, concurrently, padded, query
from reelhook.storage.operations.rows import LISTED_JOB, STORED_JOB, listed_job_of, stored_job_of
from reelhook.storage.operations.turns import LINES, waiting

_WAITING = "account = ?1 AND project = ?2 AND status = 'accepted'"
_PREPARED = "unprepared_since IS NULL"
"""A job is created once its files are stored."""
_SIZE = """
coalesce(octet_length(image), 0) + coalesce(octet_length(provider_options), 0)
  + coalesce((SELECT CAST(sum(f.size) AS BIGINT) FROM job_files j
      JOIN files f ON f.project = j.project AND f.hash = j.hash
      WHERE j.job_id = jobs.id), 0) * 4 / 3
"""
"""The bytes of a job's media and options as texts; base64 makes files longer by a third."""
_IN_ORDER = "ORDER BY priority DESC, created_at, id"
_KEYS = (
    f"SELECT -priority, created_at, id FROM jobs WHERE {_WAITING} AND {{condition}}"
    f" {_IN_ORDER} LIMIT ?3"
)
_FIRST_KEYS = f"""
SELECT firsts.project, -priority, created_at, id FROM (SELECT project,
  (SELECT id FROM jobs WHERE account = ?1 AND jobs.project = lines.project AND status = 'accepted'
    AND {{condition}} {_IN_ORDER} LIMIT 1) AS job_id
  FROM {LINES}) AS firsts JOIN jobs ON id = job_id
"""
_Line = tuple[str, str]
"""An account and a project that has jobs waiting there."""
_Condition = tuple[str, Instant]
"""A condition of the jobs to read, with `{at}` in the place of its time, and this time."""
_WITHIN = f"""
SELECT {STORED_JOB}, media_bytes FROM (SELECT id AS chosen, media_bytes FROM (
  SELECT id, media_bytes, sum(media_bytes) OVER (ORDER BY place) AS total FROM (
    SELECT id, column2 AS place, {_SIZE} AS media_bytes
    FROM (VALUES {{wanted}}) AS wanted JOIN jobs ON id = column1) AS sized) AS summed
  WHERE total - media_bytes < ?1) AS fitting JOIN jobs ON jobs.id = chosen
"""


def due(
    account: str, now: Instant, limit: int, bytes_max: int = ANY_BYTES
) -> Operation[tuple[list[StoredJob], Instant | None]]:
    """Return accepted jobs that are due, in turn, and the time when the next one is due.

    Those whose files are still to be fetched are not due. There is no such time if as many are due
    as may be returned.
    """
    order, lines = yield from waiting([account], account)
    only = (f"coalesce(submit_due_at, 0) <= {{at}} AND {_PREPARED}", now)
    keys = yield from _first(order, lines, limit, only)
    jobs = yield from _within(keys, bytes_max)
    if len(keys) == limit or not lines:
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
    order, lines = yield from waiting(others, account)
    only = (f"NOT pinned AND updated_at <= {{at}} AND {_PREPARED}", idle_since)
    keys = yield from _first(order, lines, limit, only)
    return (yield from _within(keys, bytes_max))


def _first(
    order: Turns, lines: Sequence[_Line], limit: int, only: _Condition
) -> Operation[list[QueueKey]]:
    """Return the first jobs of these lines in turn.

    A few keys of each are read at first, then more where these leave the order open. So the number
    of keys is a small multiple of `limit` and of the number of lines.
    """
    heads: dict[_Line, Head] = {}
    keys, unread = list[QueueKey](), lines
    while unread:
        share = 2 * limit // len(unread) + 1
        sizes = {
            line: min(limit, max(share, 2 * len(heads[line].keys) if line in heads else 0))
            for line in unread
        }
        for line, page in (yield from _pages(sizes, only)).items():
            heads[line] = Head(page, more=len(page) == sizes[line] < limit)
        of_projects: dict[str, list[Head]] = {project: [] for _, project in lines}
        for (_, project), head in heads.items():
            of_projects[project].append(head)
        known = {project: merged(several) for project, several in of_projects.items()}
        keys, unclear = order.first(known, limit)
        ends = {project: known[project].keys[-1] for project in unclear}
        unread = [
            line for line, head in heads.items() if head.more and ends.get(line[1]) == head.keys[-1]
        ]
    return keys


def _pages(sizes: Mapping[_Line, int], only: _Condition) -> Operation[dict[_Line, list[QueueKey]]]:
    """Return the first keys of each line, so many of each."""
    condition, at = only
    if max(sizes.values()) == 1:  # one statement for each account
        accounts = sorted({account for account, _ in sizes})
        sql = _FIRST_KEYS.format(condition=condition.format(at="?2"))
        firsts = yield from concurrently([query(sql, (account, at)) for account in accounts])
        pages: dict[_Line, list[QueueKey]] = {line: [] for line in sizes}
        for account, rows in zip(accounts, firsts, strict=True):
            pages |= {(account, row[0]): [QueueKey(*row[1:])] for row in rows}
        return pages
    sql = _KEYS.format(condition=condition.format(at="?4"))
    found = yield from concurrently([query(sql, (*line, size, at)) for line, size in sizes.items()])
    return {line: [QueueKey(*row) for row in rows] for line, rows in zip(sizes, found, strict=True)}


def _within(keys: Sequence[QueueKey], bytes_max: int) -> Operation[list[StoredJob]]:
    """Return the jobs in this order, up to the one that brings their size above `bytes_max`.

    Neither database reads a large value to determine its length.
    """
    if not keys:
        return []
    wanted = padded([key.job_id for key in keys])
    values = ", ".join(f"(CAST(?{place} AS TEXT), {place})" for place, _ in enumerate(wanted, 2))
    rows = yield Statement(_WITHIN.format(wanted=values), (bytes_max, *wanted))
    stored = (replace(stored_job_of(row[:-1]), size=row[-1]) for row in rows)
    found = {one.job.id: one for one in stored}
    return [found[key.job_id] for key in keys if key.job_id in found]


def with_fallbacks(account: str, waiting_since: Instant, limit: int) -> Operation[list[ListedJob]]:
    """Return accepted jobs that have fallbacks and have waited for their model since then.

    A job whose files are still to be fetched waits for these, and not for its model.
    """
    rows = yield Statement(
        f"SELECT {LISTED_JOB} FROM jobs WHERE account = ?1 AND status = 'accepted'"
        f" AND {_PREPARED} AND fallbacks IS NOT NULL AND coalesce(model_since, created_at) < ?2"
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
    order, _ = yield from waiting([job.account], job.account)
    if job.project not in order.projects:
        return 0  # the job has just begun
    place = order.place(job.project, own[0][0])
    others = {
        project: order.count_before(project, place)
        for project in order.projects
        if project != job.project
    }
    counts = yield from concurrently(
        [_before(job, project, *before) for project, before in others.items() if any(before)]
    )
    return int(own[0][0]) + sum(counts)


def _before(job: Job, project: str, most: int, tie: bool) -> Operation[int]:
    """Return how many jobs of another project come before this one.

    At most `most` have a lower place. `tie`: the next one has the same place.
    """
    if tie:
        following = yield Statement(
            f"SELECT -priority, created_at, id FROM jobs WHERE {_WAITING}"
            f" {_IN_ORDER} LIMIT 1 OFFSET ?3",
            (job.account, project, most),
        )
        if following:
            own = QueueKey(-job.priority, job.created_at, job.id)
            return most + (QueueKey(*following[0]) < own)
    if not most:
        return 0
    count = yield Statement(
        f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {_WAITING} LIMIT ?3) AS before",
        (job.account, project, most),
    )
    return int(count[0][0])
