"""The report of `rollback`: the revision that was undone, and what that dropped."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reelhook.cli import render

if TYPE_CHECKING:
    from reelhook.storage.schema.rolling_back import RolledBack, UnfinishedJob

_DROPPED = {
    "projects": ("{} project", "{} projects"),
    "keys": ("{} key", "{} keys"),
    "budgets": ("{} budget", "{} budgets"),
    "labels": ("the labels of {} job", "the labels of {} jobs"),
    "broadcasts": ("the broadcast of {} endpoint", "the broadcasts of {} endpoints"),
    "archived_files": (
        "the record of {} archived file, which stays where it is",
        "the records of {} archived files, which stay where they are",
    ),
    "formats": ("the format of {} endpoint, disabled", "the formats of {} endpoints, disabled"),
    "callbacks": (
        "the webhooks of {} request with a secret or format of its own",
        "the webhooks of {} requests with a secret or format of their own",
    ),
    "audit": ("{} entry of the audit trail", "{} entries of the audit trail"),
}
"""Phrases for one and for several, for each kind of thing that a rollback drops."""


def show_rolled_back(undone: "RolledBack | None", *, as_json: bool) -> None:
    """Show the result of a rollback. None: the database has no schema."""
    if as_json:
        render.say(json.dumps(_document(undone)))
    elif undone is None:
        render.say("The database has no schema yet.")
    else:
        render.say(f"Rolled back {undone.revision}.")
        for kind, count in undone.dropped.items():
            one, several = _DROPPED[kind]
            render.say(f"Dropped {(one if count == 1 else several).format(count)}.")
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
    details = {
        "dropped": dict(undone.dropped),
        "endedJobs": _jobs(undone.ended),
        "runningJobs": _jobs(undone.running),
    }
    return {"rolledBack": undone.revision} | {name: one for name, one in details.items() if one}


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
