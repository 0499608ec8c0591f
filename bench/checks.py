"""What must hold of webhooks, whatever happened on the way."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from bench.figures import Figures
from bench.stage import SECRET, TERMINAL

Arrival = Mapping[str, Any]


def terminal(arrivals: Iterable[Arrival]) -> list[Arrival]:
    return [one for one in arrivals if one["event"]["status"] in TERMINAL]


def by_job(arrivals: Iterable[Arrival]) -> dict[str, list[Arrival]]:
    jobs: dict[str, list[Arrival]] = defaultdict(list)
    for one in arrivals:
        jobs[one["event"]["jobId"]].append(one)
    return jobs


def first_arrivals(arrivals: Iterable[Arrival]) -> list[Arrival]:
    """Return the first arrival of each event, in order of arrival."""
    firsts: dict[str, Arrival] = {}
    for one in sorted(arrivals, key=lambda one: one["t"]):
        firsts.setdefault(one["headers"]["webhook-id"], one)
    return list(firsts.values())


def check_signatures(figures: Figures, arrivals: Sequence[Arrival]) -> None:
    wrong = [one for one in arrivals if not (one["plain_ok"] and one["standard_ok"])]
    figures.none("webhooks with a wrong signature", [_brief(one) for one in wrong])
    # The official library wants base64 or whsec_: given the raw key it is asked independently.
    library = Webhook(SECRET.encode())
    refused = []
    for one in arrivals[:2000]:
        try:
            library.verify(one["body"], dict(one["headers"]))
        except WebhookVerificationError as error:
            # Arrivals older than the library's five minutes were judged on arrival, above.
            if "old" not in str(error):
                refused.append(f"{error}: {_brief(one)}")
    figures.none("refused by standardwebhooks", refused)


def check_order(figures: Figures, arrivals: Sequence[Arrival]) -> None:
    """Sequences must not fall among first arrivals; an event's id, body and job are one."""
    falls, changed, repeats = [], [], 0
    bodies: dict[str, str] = {}
    for job_id, of_job in by_job(arrivals).items():
        firsts = first_arrivals(of_job)
        repeats += len(of_job) - len(firsts)
        sequences = [one["event"]["sequence"] for one in firsts]
        if sequences != sorted(set(sequences)):
            falls.append(f"{job_id}: {sequences}")
        for one in of_job:
            event_id = one["headers"]["webhook-id"]
            if bodies.setdefault(event_id, one["body"]) != one["body"]:
                changed.append(f"{event_id}: {bodies[event_id]} became {one['body']}")
    figures.none("jobs whose sequence fell", falls)
    figures.none("events whose body changed", changed)
    figures.tell("repeated arrivals (at least once)", repeats)


def check_endings(
    figures: Figures, arrivals: Sequence[Arrival], job_ids: Sequence[str], label: str = ""
) -> None:
    """Each job has exactly one terminal event, and nothing newer follows it."""
    jobs = by_job(arrivals)
    lost, several, followed = [], [], []
    for job_id in job_ids:
        of_job = jobs.get(job_id, [])
        endings = {one["headers"]["webhook-id"]: one for one in terminal(of_job)}
        if not endings:
            lost.append(f"{job_id}: {[one['event']['status'] for one in of_job]}")
        elif len(endings) > 1:
            several.append(f"{job_id}: {sorted(endings)}")
        last = first_arrivals(of_job)[-1:]
        if endings and last[0]["event"]["status"] not in TERMINAL:
            followed.append(f"{job_id}: {[_brief(one) for one in of_job]}")
    figures.none(f"{label}jobs without a terminal webhook", lost)
    figures.none(f"{label}jobs with several terminal events", several)
    figures.none(f"{label}jobs that spoke after their end", followed)
    strangers = set(jobs) - set(job_ids)
    figures.none(f"{label}webhooks of jobs nobody asked for", sorted(strangers))


def _brief(arrival: Arrival) -> str:
    event = arrival["event"]
    return f"{arrival['path']} {event['jobId']} {event['status']} #{event['sequence']}"
