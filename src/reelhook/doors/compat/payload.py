"""The webhook body that reelhook's first client was written for."""

import json
from collections.abc import Callable, Mapping

from pydantic.alias_generators import to_camel

from reelhook.domain.budget import JOBS, resets_at
from reelhook.domain.endpoint import EventName, name_of
from reelhook.domain.event import Event, EventKind, Instant, WireStatus, iso, maybe_iso
from reelhook.domain.job import Job
from reelhook.domain.labels import NO_LABELS, Labels, labels_of
from reelhook.domain.money import whole
from reelhook.domain.notice import BudgetNotice

_AFTER_END = frozenset({EventKind.RECOVERED, EventKind.ARCHIVE_FAILED})
FileUrl = Callable[[str, Instant], str]
"""Returns the address of a job's file, given out at this time."""


class CompatPayload:
    """Renders events as the first client expects them. Keys may be added, never removed.

    `video_url` returns the address at which clients download the video of a job, given out at the
    time of the event.
    """

    events = frozenset(EventName)

    def __init__(self, video_url: FileUrl) -> None:
        self._video_url = video_url

    def body(self, job: Job, event: Event) -> bytes:
        """Return the body that reports an event of a job."""
        return _encoded(self._content(job, event))

    def _content(self, job: Job, event: Event) -> dict[str, object]:
        return _event_content(event, self._video_url(job.id, event.occurred_at), labels_of(job))

    def notice_body(self, notice: BudgetNotice) -> bytes:
        """Return the body that reports an event of no job."""
        return notice_body(notice)

    def test_body(self, message_id: str, now: Instant) -> bytes:
        """Return the body of a test webhook. It belongs to no job."""
        return test_body(message_id, now)


class PosterPayload(CompatPayload):
    """The same bodies, with `posterUrl` next to `videoUrl`. `poster_url` None: there are none.

    The address is given before the poster is made, and serves it from then on.
    """

    def __init__(self, video_url: FileUrl, poster_url: FileUrl | None) -> None:
        super().__init__(video_url)
        self._poster_url = poster_url

    def _content(self, job: Job, event: Event) -> dict[str, object]:
        content = super()._content(job, event)
        if "videoUrl" in content:
            url = self._poster_url and self._poster_url(job.id, event.occurred_at)
            content["posterUrl"] = url
        return content


def event_body(event: Event, video_url: str, labels: Labels = NO_LABELS) -> bytes:
    """Return the body of one event. A job without labels has no keys for them."""
    return _encoded(_event_content(event, video_url, labels))


def _event_content(event: Event, video_url: str, labels: Labels) -> dict[str, object]:
    content: dict[str, object] = {
        "jobId": event.job_id,
        "soraJobId": event.provider_job_id,
        "status": event.status.value,
        "progress": event.progress,
    }
    if event.kind in _AFTER_END:
        content["event"] = name_of(event).value
    recovered = event.kind is EventKind.RECOVERED
    if recovered:
        content["recovered"] = True
    if event.status is WireStatus.COMPLETED or recovered:
        content["videoUrl"] = video_url
        content["contentExpiresAt"] = event.content_expires_at
        content["providerVideoUrl"] = event.provider_video_url
    if event.kind is EventKind.FALLBACK:
        content |= {"fallback": event.model, "error": event.error, "code": event.code}
    if event.status is WireStatus.FAILED or event.kind in _AFTER_END:
        content["error"] = event.error
        content["code"] = event.code
    content["timestamp"] = iso(event.occurred_at)
    content["sequence"] = event.sequence
    if labels.external_id is not None:
        content["externalId"] = labels.external_id
    if labels.metadata:
        content["metadata"] = labels.metadata
    return content


def notice_body(notice: BudgetNotice) -> bytes:
    """Return the body that reports the state of a budget."""
    key = notice.key
    kind, _, owner_id = key.owner.partition(":")
    return _encoded(
        {
            "event": notice.name.value,
            "project": owner_id if kind == "project" else None,
            "key": owner_id if kind == "key" else None,
            "budget": to_camel(notice.kind.value),
            "period": key.period,
            "unit": key.unit,
            "limit": notice.limit if key.unit == JOBS else whole(notice.limit),
            "used": notice.used if key.unit == JOBS else whole(notice.used),
            "resetsAt": maybe_iso(resets_at(notice.kind, notice.occurred_at)),
            "timestamp": iso(notice.occurred_at),
        }
    )


def test_body(message_id: str, now: Instant) -> bytes:
    """Return a body like that of any other event, marked with `test`."""
    return _encoded(
        {
            "jobId": message_id,
            "soraJobId": None,
            "status": WireStatus.QUEUED.value,
            "progress": 0,
            "timestamp": iso(now),
            "sequence": 1,
            "test": True,
        }
    )


def _encoded(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
