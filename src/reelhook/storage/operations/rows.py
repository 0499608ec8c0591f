"""Conversion between rows and domain values: the only module that knows the order of columns."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from sys import intern
from typing import Any

from reelhook.domain.breaker import PROBE_MILLISECONDS_MIN, CircuitBreaker
from reelhook.domain.delivery import Delivery, Outcome
from reelhook.domain.endpoint import (
    AFTER_END_EVENTS,
    ALL_EVENTS,
    Disabled,
    Endpoint,
    EndpointKind,
    EventName,
)
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.problem import Problem
from reelhook.domain.project import SigningSecrets
from reelhook.domain.request import VideoRequest
from reelhook.ports import JobPage, ListedJob, StoredJob


def _columns(of: type[Any], *without: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(of) if field.name not in without)


STATE_COLUMNS = _columns(Job)
DELIVERY_COLUMNS = _columns(Delivery)
_AFTER_END = "after_end_events"
"""The column of events that follow the end of a job.

Processes of an earlier version read `events`, and know no such names.
"""
ENDPOINT_COLUMNS = (*_columns(Endpoint, "health", "project_secrets"), _AFTER_END)
HEALTH_COLUMNS = _columns(CircuitBreaker, "window")
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
    *("resolution", "negative_prompt", "audio", "last_frame"),
    *("reference_images", "reference_videos", "reference_audios"),
    "remix_of",
)


def _length_of_list(column: str) -> str:
    """Return the SQL for the number of texts in a JSON list: a text is between two quotes."""
    unescaped = f"replace(replace({column}, '\\\\', ''), '\\\"', '')"
    quotes = f"length({unescaped}) - length(replace({unescaped}, '\"', ''))"
    return f"coalesce(({quotes}) / 2, 0)"


_REFERENCES = ("reference_images", "reference_videos", "reference_audios")
MEDIA_COLUMNS = ("image", "last_frame", *_REFERENCES)
_DIRECTION, _OWNER, _VERSION = _DOOR_FIELDS = ("direction", "wallet_address", "render_version")
"""The door fields of a request that have columns; others are refused."""
_VERSION_DEFAULT = "v3"
STATE = ", ".join(STATE_COLUMNS)
_ROUND_AT = (
    "(SELECT round_at FROM accounts WHERE accounts.id = jobs.account AND round_at >= accepted_at)"
)
_JOB_EXTRAS = ("webhook_url", "checked_at", _ROUND_AT)
STORED_JOB = ", ".join((*STATE_COLUMNS, *REQUEST_COLUMNS, *_JOB_EXTRAS))
# Without the columns that may be large.
_LISTED_COLUMNS = (
    *("title", "seconds", "size", "aspect_ratio", "seed", "fallbacks", "resolution", "audio"),
    *map(_length_of_list, _REFERENCES),
)
LISTED_JOB = ", ".join((*STATE_COLUMNS, *_LISTED_COLUMNS, *_JOB_EXTRAS))
DELIVERY = ", ".join(f"d.{name}" for name in DELIVERY_COLUMNS)
_PROJECT_SECRETS = ("secret", "previous_secret", "previous_until")
# No join: PostgreSQL can't lock the rows of an outer one.
ENDPOINT = ", ".join(
    (
        *(f"e.{name}" for name in (*ENDPOINT_COLUMNS, *HEALTH_COLUMNS)),
        *(f"(SELECT {name} FROM projects WHERE id = e.project)" for name in _PROJECT_SECRETS),
    )
)

# Many rows are read per second, and a dictionary lookup is faster than calling an enum.
_STATUS = {status.value: status for status in Status}
_OUTCOME = {None: None} | {outcome.value: outcome for outcome in Outcome}
_URL, _ENDED, _OUTCOME_AT = (DELIVERY_COLUMNS.index(name) for name in ("url", "ended", "outcome"))
_FLAGS = [
    STATE_COLUMNS[3:].index(name)
    for name in ("adopted", "pinned", "submit_marked", "exchange_ended")
]
_OPTIONAL_FLAG = STATE_COLUMNS[3:].index("stopped")
_SECONDS = STATE_COLUMNS[3:].index("content_expires_at")
"""The only time that is stored in seconds."""
_STORED_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "status": attrgetter("value"),
    "content_expires_at": lambda at: None if at is None else at // 1000,
}
_REQUEST = slice(len(STATE_COLUMNS), len(STATE_COLUMNS) + len(REQUEST_COLUMNS))


def job_of(row: Sequence[Any]) -> Job:
    """Read `STATE`."""
    job_id, account, status, *rest = row[: len(STATE_COLUMNS)]
    for index in _FLAGS:
        rest[index] = bool(rest[index])
    if rest[_OPTIONAL_FLAG] is not None:
        rest[_OPTIONAL_FLAG] = bool(rest[_OPTIONAL_FLAG])
    if rest[_SECONDS] is not None:
        rest[_SECONDS] *= 1000
    # Thousands of jobs share the name of one account.
    return Job(job_id, intern(account), _STATUS[status], *rest)


def state_writer(columns: Iterable[str] = STATE_COLUMNS) -> Callable[[Job], list[Any]]:
    """Return a function that writes these columns of `STATE`."""
    names = tuple(columns)
    read = attrgetter(*names)
    stored = [(names.index(name), form) for name, form in _STORED_FORMS.items() if name in names]

    def state(job: Job) -> list[Any]:
        values = list(read(job))
        for index, form in stored:
            values[index] = form(values[index])
        return values

    return state


state_of = state_writer()
"""Writes `STATE`."""


def request_of(request: VideoRequest) -> tuple[Any, ...]:
    """Write `REQUEST_COLUMNS`. Raises `InvalidRequestError` for a door field without column.

    A direction is the beginning of the prompt and has a separate column.
    """
    door_fields = request.door_fields
    if unknown := sorted(door_fields.keys() - set(_DOOR_FIELDS)):
        problem, allowed = Problem.NOT_ONE_OF, _DOOR_FIELDS
        raise InvalidRequestError("door_fields", problem, allowed=allowed, value=unknown[0])
    direction = door_fields.get(_DIRECTION)
    lead = f"{direction}\n\n" if direction else ""
    directed = bool(lead) and request.prompt.startswith(lead)
    return (
        request.prompt.removeprefix(lead),
        direction if directed else None,
        request.seconds,
        request.size,
        door_fields.get(_OWNER),
        door_fields.get(_VERSION, _VERSION_DEFAULT),
        request.aspect_ratio,
        request.image,
        request.seed,
        request.options_json,
        _list_text(request.fallbacks),
        request.title,
        request.resolution,
        request.negative_prompt,
        request.audio,
        request.last_frame,
        *(_list_text(getattr(request, name)) for name in _REFERENCES),
        request.remix_of,
    )


def media_of_request(request: VideoRequest) -> tuple[Any, ...]:
    """Write `MEDIA_COLUMNS`."""
    written = dict(zip(REQUEST_COLUMNS, request_of(request), strict=True))
    return tuple(written[name] for name in MEDIA_COLUMNS)


def stored_job_of(row: Sequence[Any], *, webhooks_held: bool = True) -> StoredJob:
    """Read `STORED_JOB`."""
    job = job_of(row)
    return StoredJob(
        job=job,
        request=_request_of(job.model, row[_REQUEST]),
        webhook_url=row[_REQUEST.stop],
        checked_at=_checked_at(job, *row[_REQUEST.stop + 1 :]),
        webhooks_held=webhooks_held,
    )


def listed_job_of(row: Sequence[Any]) -> ListedJob:
    """Read `LISTED_JOB`."""
    job = job_of(row)
    end = len(STATE_COLUMNS) + len(_LISTED_COLUMNS)
    title, seconds, size, aspect_ratio, seed, fallbacks, resolution, audio, *counts = row[
        len(STATE_COLUMNS) : end
    ]
    webhook_url, *checked = row[end:]
    return ListedJob(
        job,
        title,
        seconds,
        size,
        aspect_ratio,
        seed,
        _list_of(fallbacks),
        webhook_url,
        _checked_at(job, *checked),
        resolution,
        None if audio is None else bool(audio),
        *counts,
    )


def page_of(rows: Sequence[Sequence[Any]], limit: int) -> JobPage:
    """Read a page of `LISTED_JOB` rows; the query must ask for one row more than the limit."""
    jobs = tuple(listed_job_of(row) for row in rows[:limit])
    return JobPage(jobs, jobs[-1].job.id if len(rows) > limit else None)


def _list_of(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


def _list_text(values: Sequence[str]) -> str | None:
    return json.dumps(values) if values else None


def _request_of(model: str, row: Sequence[Any]) -> VideoRequest:
    named: dict[str, Any] = dict(zip(REQUEST_COLUMNS, row, strict=True))
    prompt = prompt_of(named.pop("script"), named[_DIRECTION])
    given = {name: value for name in _DOOR_FIELDS if (value := named.pop(name)) is not None}
    if given.get(_VERSION) == _VERSION_DEFAULT:
        del given[_VERSION]
    options, audio = named.pop("provider_options"), named.pop("audio")
    for name in ("fallbacks", *_REFERENCES):
        named[name] = _list_of(named[name])
    return VideoRequest(
        prompt=prompt,
        model=model,
        options=json.loads(options) if options else {},
        audio=None if audio is None else bool(audio),
        door_fields=given,
        **named,
    )


def prompt_of(script: str, direction: str | None) -> str:
    """Return the prompt from its two columns."""
    return f"{direction}\n\n{script}" if direction else script


def _checked_at(job: Job, checked_at: Instant | None, round_at: Instant | None) -> Instant | None:
    """Return the later of the account's last completed round and the job's last single read.

    The view `video_jobs` computes the same. A round writes one row for all of its jobs.
    """
    if job.accepted_at is None:
        return None
    if not job.status.watched:
        return job.updated_at
    return max(checked_at or 0, round_at or 0) or None


def delivery_of(row: Sequence[Any]) -> Delivery:
    """Read `DELIVERY`."""
    values = list(row[: len(DELIVERY_COLUMNS)])
    values[_URL] = values[_URL] or None
    values[_ENDED] = bool(values[_ENDED])
    values[_OUTCOME_AT] = _OUTCOME[values[_OUTCOME_AT]]
    return Delivery(*values)


def endpoint_of(row: Sequence[Any]) -> Endpoint:
    """Read `ENDPOINT`."""
    columns = (*ENDPOINT_COLUMNS, *HEALTH_COLUMNS)
    named = dict(zip(columns, row, strict=False))
    secret, *previous = row[len(columns) : len(columns) + len(_PROJECT_SECRETS)]
    health = {name: named.pop(name) for name in HEALTH_COLUMNS}
    health["probe_milliseconds"] = health["probe_milliseconds"] or PROBE_MILLISECONDS_MIN
    events = events_of(named["events"]) | events_of(named.pop(_AFTER_END) or "")
    headers, disabled = named["headers"], named["disabled"]
    return Endpoint(
        **named
        | {
            "kind": EndpointKind(named["kind"]),
            "trusted": bool(named["trusted"]),
            "broadcast": bool(named["broadcast"]),
            "events": events,
            "headers": tuple((json.loads(headers) if headers else {}).items()),
            "disabled": None if disabled is None else Disabled(disabled),
            "project_secrets": None if secret is None else SigningSecrets(secret, *previous),
            "health": CircuitBreaker(**health),
        }
    )


def events_of(names: str | None) -> frozenset[EventName]:
    """Read an endpoint's event filter. No filter lets all events pass."""
    return ALL_EVENTS if names is None else frozenset(EventName(name) for name in names.split())


def endpoint_values(endpoint: Endpoint) -> tuple[Any, ...]:
    """Write `ENDPOINT_COLUMNS` and `HEALTH_COLUMNS`."""
    events, after_end = endpoint.events - AFTER_END_EVENTS, endpoint.events & AFTER_END_EVENTS
    written: dict[str, Any] = {
        "kind": endpoint.kind.value,
        "events": None if events == ALL_EVENTS else " ".join(sorted(events)),
        _AFTER_END: " ".join(sorted(after_end)) or None,
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
