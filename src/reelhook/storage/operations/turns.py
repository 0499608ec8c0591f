"""Operations on the turns of projects at an account."""

from collections.abc import Iterable, Sequence

from reelhook.domain.job import Job
from reelhook.domain.turns import Line, Turns
from reelhook.storage.operation import Operation, Row, Statement, concurrently, padded, query

# The recursion reads one index entry for each project, however many jobs wait. Only the full order
# makes PostgreSQL choose the index of waiting jobs for that.
_NEXT = """
  (SELECT project FROM jobs WHERE account = ?1 AND status = 'accepted' AND project > {after}
    ORDER BY project, priority DESC, created_at, id LIMIT 1)
"""
LINES = f"""
(SELECT project FROM (
  WITH RECURSIVE line(project) AS (
    SELECT {_NEXT.format(after="''")}
    UNION ALL
    SELECT {_NEXT.format(after="line.project")} FROM line WHERE line.project IS NOT NULL)
  SELECT project FROM line) AS found WHERE project IS NOT NULL) AS lines
"""
"""The projects that have accepted jobs at the account ?1."""
_WAITING = f"""
SELECT project, (SELECT turn FROM turns WHERE account = ?2 AND turns.project = lines.project),
  (SELECT weight FROM projects WHERE id = lines.project),
  (SELECT max(turn) FROM turns WHERE account = ?2)
FROM {LINES}
"""
_OF_PROJECTS = """
SELECT column1, (SELECT turn FROM turns WHERE account = ?1 AND project = column1),
  (SELECT weight FROM projects WHERE id = column1),
  (SELECT max(turn) FROM turns WHERE account = ?1)
FROM (VALUES {projects}) AS lines
"""


def waiting(accounts: Sequence[str], at: str) -> Operation[tuple[Turns, list[tuple[str, str]]]]:
    """Return the turns at the account `at` of all projects that have accepted jobs.

    Also return the accounts, of these ones, and the projects of those jobs.
    """
    found = yield from concurrently([query(_WAITING, (account, at)) for account in accounts])
    places = [
        (account, row[0]) for account, rows in zip(accounts, found, strict=True) for row in rows
    ]
    return _turns_of(row for rows in found for row in rows), places


def _of_projects(account: str, projects: Sequence[str]) -> Operation[Turns]:
    """Return the turns of these projects at the account."""
    wanted = padded(projects)
    values = ", ".join(f"(CAST(?{number} AS TEXT))" for number, _ in enumerate(wanted, start=2))
    rows = yield Statement(_OF_PROJECTS.format(projects=values), (account, *wanted))
    return _turns_of(rows)


def _turns_of(rows: Iterable[Row]) -> Turns:
    lines, latest = dict[str, Line](), 0
    for project, turn, weight, last in rows:
        lines[project] = Line(project, turn, weight or 1)
        latest = last or 0
    return Turns(lines.values(), latest)


def take(jobs: Sequence[Job]) -> Operation[None]:
    """Record the turns of jobs that are created now, in this order."""
    for account in sorted({job.account for job in jobs}):
        taken = [job.project for job in jobs if job.account == account]
        projects = sorted(set(taken))
        read = yield from _of_projects(account, projects)
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
