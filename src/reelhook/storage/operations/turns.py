"""Operations on the turns of projects at an account."""

from collections.abc import Sequence

from reelhook.domain.job import Job
from reelhook.domain.turns import Line, Turns
from reelhook.storage.operation import Operation, Statement, concurrently, query

# The recursion reads one index entry for each project, however many jobs wait. Only the full order
# makes PostgreSQL choose the index of waiting jobs for that.
_NEXT = """
  (SELECT project FROM jobs WHERE account = ?1 AND status = 'accepted' AND project > {after}
    ORDER BY project, priority DESC, created_at, id LIMIT 1)
"""
_WAITING = f"""
SELECT project FROM (
  WITH RECURSIVE line(project) AS (
    SELECT {_NEXT.format(after="''")}
    UNION ALL
    SELECT {_NEXT.format(after="line.project")} FROM line WHERE line.project IS NOT NULL)
  SELECT project FROM line) AS lines
WHERE project IS NOT NULL
"""


def waiting_projects(account: str) -> Operation[list[str]]:
    """Return the projects that have accepted jobs at the account."""
    rows = yield Statement(_WAITING, (account,))
    return [row[0] for row in rows]


def turns(account: str, projects: Sequence[str]) -> Operation[Turns]:
    """Return the turns of these projects at the account."""
    latest = yield Statement("SELECT max(turn) FROM turns WHERE account = ?1", (account,))
    found = yield from concurrently(
        [
            query(
                "SELECT (SELECT turn FROM turns WHERE account = ?1 AND project = ?2),"
                " (SELECT weight FROM projects WHERE id = ?2)",
                (account, project),
            )
            for project in projects
        ]
    )
    lines = [
        Line(project, turn, weight or 1)
        for project, [(turn, weight)] in zip(projects, found, strict=True)
    ]
    return Turns(lines, latest[0][0] or 0)


def take(jobs: Sequence[Job]) -> Operation[None]:
    """Record the turns of jobs that are created now, in this order."""
    for account in sorted({job.account for job in jobs}):
        taken = [job.project for job in jobs if job.account == account]
        projects = sorted(set(taken))
        read = yield from turns(account, projects)
        places = {project: read.take(project) for project in taken}
        yield from concurrently(
            [
                query(
                    "INSERT INTO turns (account, project, turn) VALUES (?1, ?2, ?3)"
                    " ON CONFLICT (account, project) DO UPDATE SET turn = excluded.turn"
                    " RETURNING 1",
                    (account, project, places[project]),
                )
                for project in projects
            ]
        )
