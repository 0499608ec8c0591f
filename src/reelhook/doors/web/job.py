"""One job: its video, or why it is not done; its way; its webhooks; and what a person can do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reelhook.domain.archive import ArchivedFile, PosterState
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.causes.cause import Thing
from reelhook.domain.delivery import Attempt
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.labels import labels_of
from reelhook.doors.web.actions import Done, Result, action
from reelhook.doors.web.attention import shown_cause
from reelhook.doors.web.forms import Form, whole_number
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.request_body import body_of, curl_of, json_of, repeated_body
from reelhook.doors.web.states import job_state
from reelhook.doors.web.timeline import spans_of
from reelhook.doors.web.view import View
from reelhook.gateway import DeliveryFilter, StoredDelivery

router = new_router()
DELIVERIES_MAX = 50
ATTEMPTS_MAX = 30


@dataclass(frozen=True, slots=True)
class ShownDelivery:
    """A delivery, its endpoint's name, and its attempts, newest first."""

    stored: StoredDelivery
    endpoint: str
    attempts: Sequence[Attempt]


@page(
    router,
    "/jobs/{job_id}",
    "job.html",
    idle_seconds=3,
    state_of=lambda values: job_state(values["job"]),
)
async def job(view: View) -> Mapping[str, Any]:
    """Return one job."""
    gateway, who, job_id = view.gateway, view.who, view.named("job_id")
    stored = await gateway.jobs.job(who, job_id)
    events = await gateway.feed.events(who, [job_id])
    deliveries = await _deliveries(view, job_id)
    parsed = [json.loads(event.body) for event in events]
    one = stored.job
    causes = (await gateway.attention.causes_of_jobs(who, [one])).get(job_id, ())
    of_itself = [cause for cause in causes if cause.name.things is Thing.JOBS]
    of_others = [cause for cause in causes if cause.name.things is not Thing.JOBS]
    file = await gateway.content.file(who, job_id)
    return {
        "job": one,
        "stored": stored,
        "title": stored.request.title or one.id,
        "video": _video(view, one),
        "causes": [shown_cause(cause, who) for cause in of_itself],
        "held": [shown_cause(cause, who) for cause in of_others],
        "file": file,
        "poster": poster_address(view, one, file),
        "position": await gateway.jobs.queue_position(who, one),
        "spans": spans_of(one, parsed, _arrived_at(deliveries), view.now),
        "deliveries": deliveries,
        "events": list(zip(events, parsed, strict=True)),
        "request_json": json_of(body_of(stored.request, one)),
        "curl": curl_of(view, repeated_body(stored.request, one)),
        "labels": labels_of(one),
    }


async def _deliveries(view: View, job_id: str) -> list[ShownDelivery]:
    gateway, who = view.gateway, view.who
    page = await gateway.deliveries.page(who, DeliveryFilter(job_id=job_id), DELIVERIES_MAX)
    names = {one.id: one.description or one.url for one in await gateway.endpoints.all(who)}
    return [
        ShownDelivery(
            stored,
            names.get(stored.delivery.endpoint_id, stored.url),
            await gateway.deliveries.attempts(who, stored.delivery.id, ATTEMPTS_MAX),
        )
        for stored in page.deliveries
    ]


def _arrived_at(deliveries: Sequence[ShownDelivery]) -> Instant | None:
    """Return the time at which the newest event has arrived at the last endpoint."""
    arrived = [
        max(
            (
                one.started_at + one.response.duration_ms
                for one in shown.attempts
                if one.response.succeeded
            ),
            default=None,
        )
        for shown in deliveries
        if shown.stored.delivery.state == "delivered" and shown.stored.delivery.resend_of is None
    ]
    return max((at for at in arrived if at is not None), default=None)


def _video(view: View, job: Job) -> str | None:
    """Return the address of the video on this server; None if there is none yet."""
    if job.status is not Status.COMPLETED and job.recovered_at is None:
        return None
    return _signed(view, job, "download")


def poster_address(view: View, job: Job, file: ArchivedFile | None) -> str | None:
    """Return the address of a video's poster on this server; None if it has none."""
    made = file is not None and file.poster_state is PosterState.MADE
    return _signed(view, job, "poster") if made else None


async def posters_of(view: View, who: Caller, jobs: Sequence[Job]) -> dict[str, str]:
    """Return the addresses of the posters of jobs that have one, by job."""
    files = await view.gateway.content.files(who, jobs)
    addresses = {job.id: poster_address(view, job, files.get(job.id)) for job in jobs}
    return {job_id: address for job_id, address in addresses.items() if address is not None}


def _signed(view: View, job: Job, what: str) -> str:
    # Of the full hour, so that an open page does not load its video again at each update.
    made_at = view.now - view.now % 3_600_000
    query = view.options.access.download_query(job.id, made_at)
    # From this server: a page shows no file of another one.
    from_here = "&redirect=0" if query else "?redirect=0"
    return view.to("api", "sora", "videos", job.id, what) + query + from_here


@action(router, "/jobs/{job_id}/check", Scope.OPERATE, job)
async def check(view: View, form: Form) -> Result:
    """Read the job at its provider now."""
    await view.gateway.jobs.check_now(view.who, view.named("job_id"))
    return _back(view, "checked")


@action(router, "/jobs/{job_id}/cancel", Scope.SUBMIT, job)
async def cancel(view: View, form: Form) -> Result:
    """Cancel the job at its provider."""
    await view.gateway.jobs.cancel(view.who, view.named("job_id"))
    return _back(view, "canceled")


@action(router, "/jobs/{job_id}/stop", Scope.SUBMIT, job)
async def stop(view: View, form: Form) -> Result:
    """Stop watching the job, even if its provider can't cancel it."""
    await view.gateway.jobs.cancel(view.who, view.named("job_id"), force=True)
    return _back(view, "canceled")


@action(router, "/jobs/{job_id}/delete", Scope.SUBMIT, job)
async def delete(view: View, form: Form) -> Result:
    """Delete the job."""
    job_id = view.named("job_id")
    await view.gateway.client_calls.used(view.who, job_id)
    await view.gateway.jobs.delete(view.who, job_id)
    return Done(view.to("jobs"), "deleted")


@action(router, "/jobs/{job_id}/adopt", Scope.OPERATE, job)
async def adopt(view: View, form: Form) -> Result:
    """Watch the provider's job of a job in doubt."""
    provider_job_id = form.get("provider_job_id", "").strip()
    if not provider_job_id:
        raise InvalidRequestError("provider_job_id", "Give the provider's id of the job")
    created = await view.gateway.in_doubt.adopt(view.who, view.named("job_id"), provider_job_id)
    return Done(view.to("jobs", created.job_id), "adopted")


@action(router, "/jobs/{job_id}/abandon", Scope.OPERATE, job)
async def abandon(view: View, form: Form) -> Result:
    """Settle that the provider does not have a job in doubt."""
    await view.gateway.in_doubt.abandon(view.who, view.named("job_id"))
    return _back(view, "abandoned")


@action(router, "/jobs/{job_id}/resend/{delivery_id}", Scope.OPERATE, job)
async def resend(view: View, form: Form) -> Result:
    """Send the newest event of a delivery again."""
    delivery_id = whole_number(view.named("delivery_id"))
    if delivery_id is None:
        raise InvalidRequestError("delivery_id", "There is no such delivery")
    await view.gateway.deliveries.resend(view.who, delivery_id)
    return _back(view, "resent")


def _back(view: View, code: str) -> Done:
    return Done(view.to("jobs", view.named("job_id")), code)
