"""Jobs as the command line shows them."""

from collections.abc import Mapping
from typing import Any

from reelhook.cli.cause_view import show_cause
from reelhook.cli.render import (
    hint,
    minute,
    on_terminal,
    say,
    second,
    show_fields,
    show_table,
    status_text,
)

_JOB_FIELDS = (
    ("Job", "jobId"),
    ("Project", "project"),
    ("Title", "title"),
    ("Your id", "externalId"),
    ("Metadata", "metadata"),
    ("Priority", "priority"),
    ("Provider", "provider"),
    ("Model", "model"),
    ("Account", "account"),
    ("Jobs before it", "queuePosition"),
    ("Seconds", "seconds"),
    ("Size", "size"),
    ("Aspect ratio", "aspectRatio"),
    ("Resolution", "resolution"),
    ("Sound", "audio"),
    ("Negative prompt", "negativePrompt"),
    ("References", "references"),
    ("Cost", "cost"),
    ("Adopted from", "adoptedFrom"),
    ("Provider's job", "soraJobId"),
    ("Waiting since", "waitingSince"),
    ("Creates tried", "tries"),
    ("Last response", "lastResponse"),
    ("Error", "error"),
    ("Code", "code"),
    ("Webhooks to", "webhookUrl"),
    ("Video", "videoUrl"),
    ("Created", "createdAt"),
    ("Updated", "updatedAt"),
    ("Last checked", "lastCheckedAt"),
    ("Unknown there since", "missingSince"),
    ("Events", "sequence"),
)

_STOPPED = {
    True: "yes",
    False: "no: the provider can't stop a render, so it continues",
    None: None,
}


_ON = {True: "on", False: "off"}


def show_job(job: dict[str, Any]) -> None:
    """Print a job in full."""
    status = str(job["status"])
    text = status_text(status).append(f" {job['progress']} %", style="default")
    (name, key), *rest = _JOB_FIELDS
    job = job | _given_texts(job)
    values = job | {"cost": cost_text(job.get("cost")), **waiting_texts(job.get("waiting"))}
    values["metadata"] = metadata_text(job.get("metadata"))
    rows = [(name, values.get(key)), ("Status", text), *((n, values.get(k)) for n, k in rest)]
    show_fields([*rows, ("Stopped", _STOPPED.get(job.get("stopped")))])
    if (cause := job.get("waitingFor")) is not None:
        show_cause(cause)
    if job.get("inDoubt") and job["status"] == "failed":
        hint(
            "Look for it at the provider, then: reelhook adopt "
            f"{job['jobId']} PROVIDERS_ID, or reelhook abandon {job['jobId']}"
        )


def waiting_texts(waiting: dict[str, Any] | None) -> dict[str, Any]:
    """Return the fields that say why a job is waiting."""
    if waiting is None:
        return {}
    return {**waiting, "waitingSince": second(waiting["since"])}


def metadata_text(metadata: dict[str, str] | None) -> str | None:
    """Return a job's metadata as text."""
    if metadata is None:
        return None
    return ", ".join(f"{name}={value}" for name, value in metadata.items())


def _given_texts(job: dict[str, Any]) -> dict[str, str]:
    """Return the texts of the request's fields that are no texts, if they were given."""
    texts = {"audio": _ON[job["audio"]]} if "audio" in job else {}
    if "references" in job:
        counts = job["references"].items()
        texts["references"] = ", ".join(f"{count} {kind}" for kind, count in counts if count)
    return texts


def cost_text(cost: dict[str, Any] | None) -> str | None:
    """Return a job's cost as text."""
    if cost is None:
        return None
    kind = "" if cost["charged"] else f", {cost.get('kind', 'quoted')}"
    return f"{cost['amount']:.6g} {cost['unit']}{kind}"


def show_in_doubt(page: dict[str, Any]) -> None:
    """Print the jobs in doubt, and how to settle them."""
    jobs = page["jobs"]
    if not jobs and on_terminal():
        say("No job is in doubt.")
        return
    show_table(
        ("JOB", "STATUS", "ACCOUNT", "MODEL", "CREATED", "TITLE"),
        (
            (
                job["jobId"],
                status_text("looked up" if job["status"] == "submitting" else job["status"]),
                job["account"],
                job["model"],
                minute(job["createdAt"]),
                job["title"],
            )
            for job in jobs
        ),
    )
    hint(
        "A provider may have accepted these jobs, and charge for them. Look there, then:",
        "reelhook adopt JOB PROVIDERS_ID   if the job is there",
        "reelhook abandon JOB              if it is not",
    )
    if page["nextCursor"]:
        hint(f"More: reelhook jobs --in-doubt --cursor {page['nextCursor']}")


def show_jobs(page: dict[str, Any], *, is_filtered: bool = False) -> None:
    """Print a page of jobs, and the command for the next page."""
    jobs = page["jobs"]
    if not jobs and on_terminal():
        submit = 'No jobs. `reelhook submit "A lighthouse at dusk"` makes one.'
        say("No jobs match." if is_filtered else submit)
        return
    show_table(
        ("JOB", "STATUS", "PROGRESS", "CREATED", "TITLE"),
        (
            (
                job["jobId"],
                status_text(str(job["status"])),
                f"{job['progress']} %",
                minute(job["createdAt"]),
                job["error"]
                or _missed(job)
                or job.get("waiting", {}).get("lastResponse")
                or job["title"],
            )
            for job in jobs
        ),
    )
    if page["nextCursor"]:
        hint(f"More: the same command with --cursor {page['nextCursor']}")


def _missed(job: Mapping[str, Any]) -> str | None:
    since = job.get("missingSince")
    return None if since is None else f"Unknown to the provider since {minute(since)}"
