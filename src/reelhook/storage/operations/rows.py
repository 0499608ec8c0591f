"""Between rows and the domain's values: the one place that knows the order of columns."""

import json
from collections.abc import Iterable, Sequence
from sys import intern
from typing import Any

from reelhook.domain.breaker import PROBE_MILLISECONDS_MIN, CircuitBreaker
from reelhook.domain.delivery import Delivery, Outcome
from reelhook.domain.endpoint import ALL_EVENTS, Disabled, Endpoint, EndpointKind, EventName
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest
from reelhook.ports import JobPage, ListedJob, StoredJob

STATE_COLUMNS = (
    "id",
    "account",
    "status",
    "created_at",
    "updated_at",
    "progress",
    "sequence",
    "version",
    "provider_job_id",
    "adopted",
    "submit_attempts",
    "submit_due_at",
    "submit_started_at",
    "doubt_since",
    "accepted_at",
    "missing_since",
    "error",
    "code",
    "content_url",
    "content_expires_at",
    "provider",
    "model",
    "model_since",
    "fallback",
    "quoted_amount",
    "quoted_unit",
    "charged_amount",
    "charged_unit",
    "adopted_from",
    "doubt_closed_at",
    "pinned",
    "submit_fingerprint",
    "submit_after",
    "submit_marked",
    "last_response",
    "waiting_since",
    "creates_absent",
    "exchange_ended",
    "stopped",
    "forgotten",
)
REQUEST_COLUMNS = (
    "script",
    "direction",
    "seconds",
    "size",
    "wallet_address",
    "render_version",
    "aspect_ratio",
    "image",
    "seed",
    "provider_options",
    "fallbacks",
    "title",
)
_DIRECTION, _OWNER, _VERSION = _METADATA = ("direction", "wallet_address", "render_version")
"""What a request's metadata may have: these have columns."""
_VERSION_DEFAULT = "v3"
DELIVERY_COLUMNS = (
    "id",
    "job_id",
    "endpoint_id",
    "url",
    "status_sequence",
    "progress_sequence",
    "attempts",
    "due_at",
    "not_before",
    "terminal_at",
    "ended",
    "resend_of",
    "outcome",
    "delivered_sequence",
)
ENDPOINT_COLUMNS = (
    "id",
    "kind",
    "url",
    "trusted",
    "created_at",
    "description",
    "events",
    "headers",
    "concurrency",
    "broadcast",
    "secret",
    "previous_secret",
    "previous_until",
    "disabled",
    "disabled_at",
    "health_version",
)
HEALTH_COLUMNS = ("failures", "failing_since", "probe_due_at", "probe_milliseconds", "ramp")
STATE = ", ".join(STATE_COLUMNS)
_ROUND_AT = (
    "(SELECT round_at FROM accounts WHERE accounts.id = jobs.account AND round_at >= accepted_at)"
)
_BESIDE = ("webhook_url", "checked_at", _ROUND_AT)
STORED_JOB = ", ".join((*STATE_COLUMNS, *REQUEST_COLUMNS, *_BESIDE))
# Nothing of what may be large.
_LISTED_COLUMNS = ("title", "seconds", "size", "aspect_ratio", "seed", "fallbacks")
LISTED_JOB = ", ".join((*STATE_COLUMNS, *_LISTED_COLUMNS, *_BESIDE))
DELIVERY = ", ".join(f"d.{name}" for name in DELIVERY_COLUMNS)
ENDPOINT = ", ".join(f"e.{name}" for name in (*ENDPOINT_COLUMNS, *HEALTH_COLUMNS))

# Many rows are read a second, and calling an enum takes longer than a look into a mapping.
_STATUS = {one.value: one for one in Status}
_OUTCOME = {None: None} | {one.value: one for one in Outcome}
_FLAGS = [
    STATE_COLUMNS[3:].index(name)
    for name in ("adopted", "pinned", "submit_marked", "exchange_ended")
]
_MAYBE_FLAG = STATE_COLUMNS[3:].index("stopped")
_SECONDS = STATE_COLUMNS[3:].index("content_expires_at")
"""The only time that has a column in seconds."""
_REQUEST = slice(len(STATE_COLUMNS), len(STATE_COLUMNS) + len(REQUEST_COLUMNS))


def job_of(row: Sequence[Any]) -> Job:
    """Read `STATE`."""
    job_id, account, status, *rest = row[: len(STATE_COLUMNS)]
    for place in _FLAGS:
        rest[place] = bool(rest[place])
    if rest[_MAYBE_FLAG] is not None:
        rest[_MAYBE_FLAG] = bool(rest[_MAYBE_FLAG])
    if rest[_SECONDS] is not None:
        rest[_SECONDS] *= 1000
    # Thousands of jobs share an account's name.
    return Job(job_id, intern(account), _STATUS[status], *rest)


def state_of(job: Job, columns: Iterable[str] = STATE_COLUMNS) -> tuple[Any, ...]:
    """Write `STATE`, or some columns of it."""
    return tuple(_state_value(name, getattr(job, name)) for name in columns)


def _state_value(name: str, value: Any) -> Any:
    if name == "content_expires_at" and value is not None:
        return value // 1000
    return value.value if isinstance(value, Status) else value


def request_of(request: VideoRequest) -> tuple[Any, ...]:
    """Write `REQUEST_COLUMNS`. Raises `InvalidRequestError` for metadata without a column.

    A direction is the beginning of the prompt, and has a column of its own.
    """
    metadata = request.metadata
    if unknown := sorted(metadata.keys() - set(_METADATA)):
        problem, allowed = Problem.NOT_ONE_OF, _METADATA
        raise InvalidRequestError("metadata", problem, allowed=allowed, value=unknown[0])
    direction = metadata.get(_DIRECTION)
    lead = f"{direction}\n\n" if direction else ""
    directed = bool(lead) and request.prompt.startswith(lead)
    return (
        request.prompt.removeprefix(lead),
        direction if directed else None,
        request.seconds,
        request.size,
        metadata.get(_OWNER),
        metadata.get(_VERSION, _VERSION_DEFAULT),
        request.aspect_ratio,
        request.image,
        request.seed,
        request.options_json,
        json.dumps(request.fallbacks) if request.fallbacks else None,
        request.title,
    )


def stored_job_of(row: Sequence[Any]) -> StoredJob:
    """Read `STORED_JOB`."""
    job = job_of(row)
    return StoredJob(
        job=job,
        request=_request_of(job.model, row[_REQUEST]),
        webhook_url=row[_REQUEST.stop],
        checked_at=_checked_at(job, *row[_REQUEST.stop + 1 :]),
    )


def listed_job_of(row: Sequence[Any]) -> ListedJob:
    """Read `LISTED_JOB`."""
    job = job_of(row)
    title, seconds, size, aspect_ratio, seed, fallbacks, webhook_url, *checked = row[
        len(STATE_COLUMNS) :
    ]
    return ListedJob(
        job=job,
        title=title,
        seconds=seconds,
        size=size,
        aspect_ratio=aspect_ratio,
        seed=seed,
        fallbacks=_fallbacks_of(fallbacks),
        webhook_url=webhook_url,
        checked_at=_checked_at(job, *checked),
    )


def page_of(rows: Sequence[Sequence[Any]], limit: int) -> JobPage:
    """Read a page of `LISTED_JOB`, of which one row more than the limit was asked for."""
    jobs = tuple(listed_job_of(row) for row in rows[:limit])
    return JobPage(jobs, jobs[-1].job.id if len(rows) > limit else None)


def within(where: str, limit: str, bytes_max: str) -> str:
    """Return a statement for the `STORED_JOB` of so many jobs at most, oldest first.

    It ends with the one whose image and options exceed `bytes_max` together with those of the
    ones before. Neither database reads a large value to tell its length.
    """
    return (
        f"SELECT {STORED_JOB} FROM jobs WHERE id IN (SELECT id FROM (SELECT id, size,"
        " sum(size) OVER (ORDER BY created_at, id) AS total FROM (SELECT id, created_at,"
        " coalesce(octet_length(image), 0) + coalesce(octet_length(provider_options), 0) AS size"
        f" FROM jobs WHERE {where} ORDER BY created_at, id LIMIT {limit}) AS due) AS summed"
        f" WHERE total - size < {bytes_max}) ORDER BY created_at, id"
    )


def _fallbacks_of(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


def _request_of(model: str, row: Sequence[Any]) -> VideoRequest:
    named = dict(zip(REQUEST_COLUMNS, row, strict=True))
    prompt = prompt_of(named.pop("script"), named[_DIRECTION])
    metadata = {name: value for name in _METADATA if (value := named.pop(name)) is not None}
    if metadata.get(_VERSION) == _VERSION_DEFAULT:
        del metadata[_VERSION]
    options, fallbacks = named.pop("provider_options"), _fallbacks_of(named.pop("fallbacks"))
    return VideoRequest(
        prompt=prompt,
        model=model,
        options=json.loads(options) if options else {},
        fallbacks=fallbacks,
        metadata=metadata,
        **named,
    )


def prompt_of(script: str, direction: str | None) -> str:
    """Return the prompt of two columns."""
    return f"{direction}\n\n{script}" if direction else script


def _checked_at(job: Job, checked_at: Instant | None, round_at: Instant | None) -> Instant | None:
    """Return the account's last completed round or the job's own last single read.

    As the view `video_jobs` tells it: a round writes one row for all of its jobs.
    """
    if job.accepted_at is None:
        return None
    if not job.status.watched:
        return job.updated_at
    return max(checked_at or 0, round_at or 0) or None


def delivery_of(row: Sequence[Any]) -> Delivery:
    """Read `DELIVERY`."""
    (
        delivery_id,
        job_id,
        endpoint_id,
        url,
        status_sequence,
        progress_sequence,
        attempts,
        due_at,
        not_before,
        terminal_at,
        ended,
        resend_of,
        outcome,
        delivered_sequence,
    ) = row[: len(DELIVERY_COLUMNS)]
    return Delivery(
        id=delivery_id,
        job_id=job_id,
        endpoint_id=endpoint_id,
        url=url or None,
        status_sequence=status_sequence,
        progress_sequence=progress_sequence,
        attempts=attempts,
        due_at=due_at,
        not_before=not_before,
        terminal_at=terminal_at,
        ended=bool(ended),
        resend_of=resend_of,
        outcome=_OUTCOME[outcome],
        delivered_sequence=delivered_sequence,
    )


def endpoint_of(row: Sequence[Any]) -> Endpoint:
    """Read `ENDPOINT`."""
    named = dict(zip((*ENDPOINT_COLUMNS, *HEALTH_COLUMNS), row, strict=False))
    health = {name: named.pop(name) for name in HEALTH_COLUMNS}
    health["probe_milliseconds"] = health["probe_milliseconds"] or PROBE_MILLISECONDS_MIN
    events, headers, disabled = named["events"], named["headers"], named["disabled"]
    return Endpoint(
        **named
        | {
            "kind": EndpointKind(named["kind"]),
            "trusted": bool(named["trusted"]),
            "broadcast": bool(named["broadcast"]),
            "events": events_of(events),
            "headers": tuple((json.loads(headers) if headers else {}).items()),
            "disabled": None if disabled is None else Disabled(disabled),
            "health": CircuitBreaker(**health),
        }
    )


def events_of(names: str | None) -> frozenset[EventName]:
    """Read an endpoint's filter; none lets all events pass."""
    return ALL_EVENTS if names is None else frozenset(EventName(one) for one in names.split())


def endpoint_values(endpoint: Endpoint) -> tuple[Any, ...]:
    """Write `ENDPOINT_COLUMNS` and `HEALTH_COLUMNS`."""
    events = None if endpoint.events == ALL_EVENTS else " ".join(sorted(endpoint.events))
    written: dict[str, Any] = {
        "kind": endpoint.kind.value,
        "events": events,
        "headers": json.dumps(dict(endpoint.headers)) if endpoint.headers else None,
        "disabled": None if endpoint.disabled is None else endpoint.disabled.value,
    }
    values = tuple(
        written[name] if name in written else getattr(endpoint, name) for name in ENDPOINT_COLUMNS
    )
    return (*values, *health_values(endpoint.health))


def health_values(health: CircuitBreaker) -> tuple[Any, ...]:
    """Write `HEALTH_COLUMNS`."""
    return tuple(getattr(health, name) for name in HEALTH_COLUMNS)
