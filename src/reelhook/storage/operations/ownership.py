"""The conditions that keep a reader within its project.

They are part of the statement that looks a row up, so another project's row can't be distinguished
from one that is missing. For a reader that sees all projects (None) they are empty.
"""

Condition = tuple[str, list[str]]
"""The end of a WHERE clause, and its parameters."""


def of_project(project: str | None, number: int) -> Condition:
    """Return the condition that a row belongs to this project, which is parameter ?`number`."""
    return ("", []) if project is None else (f" AND project = ?{number}", [project])


def of_job_in_project(project: str | None, number: int, job_id: str) -> Condition:
    """Return the condition that the job in the column `job_id` belongs to this project."""
    owned, owner = of_project(project, number)
    return (
        f" AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = {job_id}{owned})" if owned else ""
    ), owner
