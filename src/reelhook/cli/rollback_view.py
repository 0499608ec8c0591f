"""The report of `rollback`: the revision that was undone, and what that dropped."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reelhook.cli import render

if TYPE_CHECKING:
    from reelhook.storage.schema.rolling_back import RolledBack, UnfinishedJob

_DROPPED = {
    "projects": ("project", "projects"),
    "keys": ("key", "keys"),
    "budgets": ("budget", "budgets"),
    "labels": ("job's labels", "jobs' labels"),
    "broadcasts": ("endpoint's broadcast", "endpoints' broadcasts"),
    "audit": ("entry of the audit trail", "entries of the audit trail"),
}
"""The names of one and of several, for each kind of thing that a rollback drops."""


def show_rolled_back(undone: "RolledBack | None", *, as_json: bool) -> None:
    """Show the result of a rollback. None: the database has no schema."""
    if as_json:
        render.say(json.dumps(_document(undone)))
    elif undone is None:
        render.say("The database has no schema yet.")
    else:
        render.say(f"Rolled back {undone.revision}.")
        for kind, count in undone.dropped.items():
            one, several = _DROPPED.get(kind, (kind, kind))
            render.say(f"Dropped {count} {one if count == 1 else several}.")
        for job in undone.ended:
            render.say(f"Ended {job.id} of {job.project}, which waited.")
        for job in undone.running:
            render.say(f"{job.id} of {job.project} goes on: {_whereabouts(job)}.")


def _whereabouts(job: "UnfinishedJob") -> str:
    if job.provider_job_id is None:
        return f"{job.account} may have it"
    return f"{job.account} has it as {job.provider_job_id}"


def _document(undone: "RolledBack | None") -> dict[str, Any]:
    if undone is None:
        return {"rolledBack": None}
    return {
        "rolledBack": undone.revision,
        "dropped": dict(undone.dropped),
        "endedJobs": _jobs(undone.ended),
        "runningJobs": _jobs(undone.running),
    }


def _jobs(jobs: "Sequence[UnfinishedJob]") -> list[dict[str, Any]]:
    return [
        {
            "jobId": job.id,
            "project": job.project,
            "account": job.account,
            "providerJobId": job.provider_job_id,
        }
        for job in jobs
    ]
