"""The bodies that the routes about endpoints take and return."""

import re
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.endpoint import (
    ALL_EVENTS,
    CONCURRENCY_MAX,
    DEFAULT_FORMAT,
    MASK,
    OVERLAP_HOURS_MAX,
    Endpoint,
    EventName,
)
from reelhook.domain.errors import BadKeyError
from reelhook.domain.event import iso, maybe_iso
from reelhook.domain.signature import standard_key
from reelhook.doors.endpoint_headers import headers_refusal
from reelhook.doors.fields import ChosenProject, Schema, ShortText, Text, is_absent
from reelhook.gateway import EndpointFields

SECRET_CHARACTERS_MIN = 16
_SECRET = re.compile(r"[!-~]+")


def _headers(headers: dict[str, str]) -> dict[str, str]:
    refusal = headers_refusal(headers)
    if refusal:
        raise PydanticCustomError("ours", "{refusal}", {"refusal": refusal})
    return headers


def _secret(secret: str) -> str:
    refusal = None
    if not _SECRET.fullmatch(secret):
        refusal = (
            "must be of visible ASCII characters, without spaces or line breaks; "
            "leave it out to have one generated"
        )
    else:
        try:
            standard_key(secret)
        except BadKeyError:
            refusal = (
                "must be a random text, or base64 after whsec_; leave it out to have one generated"
            )
    if refusal:
        raise PydanticCustomError("ours", "{refusal}", {"refusal": refusal})
    return secret


Headers = Annotated[dict[str, str], AfterValidator(_headers)]
Secret = Annotated[
    str,
    StringConstraints(strict=True, min_length=SECRET_CHARACTERS_MIN, max_length=256),
    AfterValidator(_secret),
    Field(json_schema_extra={"pattern": f"^{_SECRET.pattern}$"}),
]
Events = Annotated[list[EventName], Field(fail_fast=True, min_length=1)]
Concurrency = Annotated[int, Field(strict=True, ge=1, le=CONCURRENCY_MAX)]
Flag = Annotated[bool, Field(strict=True)]


class _Chosen(Schema):
    """The fields that may be chosen, and changed later."""

    description: ShortText | None = None
    events: Events | None = Field(
        None, description="The events that it gets; if absent: all of jobs, none of budgets"
    )
    headers: Headers | None = Field(None, repr=False, description="Sent with every webhook")
    concurrency: Concurrency | None = Field(
        None, description="Requests in flight at once; if absent: REELHOOK_ENDPOINT_CONCURRENCY"
    )
    broadcast: Flag | None = Field(None, description="Gets every job's events")
    format: ShortText | None = Field(
        None, description="The format of its bodies: reelhook (the default), openai or vercel"
    )

    def fields(self) -> EndpointFields:
        """Return the given fields, and no others."""
        fields: dict[str, Any] = self.model_dump(
            include=self.model_fields_set & _Chosen.model_fields.keys()
        )
        if "events" in fields:
            fields["events"] = frozenset(fields["events"] or ALL_EVENTS)
        if "headers" in fields:
            fields["headers"] = tuple((fields["headers"] or {}).items())
        if "format" in fields:
            fields["format"] = DEFAULT_FORMAT if fields["format"] is None else fields["format"]
        if fields.get("broadcast", ...) is None:
            del fields["broadcast"]
        return cast("EndpointFields", fields)


class NewEndpointBody(_Chosen):
    """An endpoint to register."""

    url: Text = Field(repr=False, description="Where its webhooks go")
    project: ChosenProject = None
    secret: Secret | None = Field(
        None, repr=False, description="The key that signs them; if absent, one is generated"
    )


class EndpointChangeBody(_Chosen):
    """The fields to change. Those left out stay; null restores the default."""

    url: Text | None = Field(None, repr=False)
    enabled: Flag | None = Field(None, description="false holds everything back")


class RotateBody(Schema):
    """A rotation of a secret."""

    secret: Secret | None = Field(
        None, repr=False, description="The new one; if absent, one is generated"
    )
    overlap_hours: Annotated[float, Field(ge=0, le=OVERLAP_HOURS_MAX)] | None = Field(
        None,
        description="How long the old one signs too; if absent: REELHOOK_SECRET_OVERLAP_HOURS",
    )


class HealthResponse(Schema):
    """An endpoint's health."""

    state: str = Field(
        description="ok, failing, open (only probes go out), recovering, disabled, or locked (the "
        "server can't decrypt its secrets, so its webhooks wait)"
    )
    failures: int = Field(description="Since its last success")
    failing_since: str | None
    next_probe_at: str | None


class EndpointResponse(Schema):
    """An endpoint's present state."""

    id: str
    kind: str = Field(
        description="registered, default (WEBHOOK_URL, or its project's) or url (a job's own)"
    )
    url: str
    trusted: bool = Field(description="The operator chose the URL: no address is refused")
    description: str | None
    events: list[str]
    headers: dict[str, str] = Field(description="Their names; the values are never shown")
    concurrency: int | None
    broadcast: bool
    format: str = Field(
        description="The format of its bodies: reelhook, reelhook+poster, openai or vercel"
    )
    enabled: bool
    disabled: str | None = Field(description="operator, failing or gone (it responded with 410)")
    disabled_at: str | None
    health: HealthResponse
    previous_secret_until: str | None
    created_at: str
    project: str | None = Field(
        None, exclude_if=is_absent, description="Its project, if that is not default"
    )


class SecretResponse(EndpointResponse):
    """An endpoint with its secret, which is shown only now."""

    secret: str = Field(repr=False)


class EndpointsResponse(Schema):
    """The endpoints, oldest first."""

    endpoints: list[EndpointResponse]


class TestResponse(Schema):
    """The receiver's response to the test event."""

    delivered: bool
    status: int | None
    duration_ms: int
    error: str | None = Field(description="Class of failure, or null")
    detail: str | None
    answer: str = Field(description="The first 16 KiB of its response")


def endpoint_response(endpoint: Endpoint) -> EndpointResponse:
    """Return an endpoint, as a response shows it, without its secret."""
    return EndpointResponse(**_fields(endpoint))


def secret_response(endpoint: Endpoint) -> SecretResponse:
    """Return an endpoint, as a response shows it, with its secret."""
    return SecretResponse(**_fields(endpoint), secret=endpoint.secret or "")


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    until = endpoint.previous_until if endpoint.previous_secret else None
    return {
        "id": endpoint.id,
        "kind": endpoint.kind.value,
        "url": endpoint.url,
        "trusted": endpoint.trusted,
        "description": endpoint.description,
        "events": [name.value for name in EventName if name in endpoint.events],
        "headers": {name: MASK for name, _ in endpoint.headers},
        "concurrency": endpoint.concurrency,
        "broadcast": endpoint.broadcast,
        "format": endpoint.format,
        "enabled": endpoint.disabled is None,
        "disabled": None if endpoint.disabled is None else endpoint.disabled.value,
        "disabled_at": maybe_iso(endpoint.disabled_at),
        "health": HealthResponse(
            state=_state(endpoint),
            failures=endpoint.health.failures,
            failing_since=maybe_iso(endpoint.health.failing_since),
            next_probe_at=None if endpoint.disabled else maybe_iso(endpoint.health.probe_due_at),
        ),
        "previous_secret_until": maybe_iso(until),
        "created_at": iso(endpoint.created_at),
        "project": None if endpoint.project == DEFAULT_PROJECT else endpoint.project,
    }


def _state(endpoint: Endpoint) -> str:
    health = endpoint.health
    if endpoint.disabled:
        return "disabled"
    if endpoint.locked:
        return "locked"
    if health.open:
        return "open"
    if health.ramp is not None:
        return "recovering"
    return "failing" if health.failures else "ok"


def test_response(response: WebhookResponse) -> TestResponse:
    """Return the result of a test, as a response shows it."""
    return TestResponse(
        delivered=response.succeeded,
        status=response.status,
        duration_ms=response.duration_ms,
        error=response.error,
        detail=response.detail,
        answer=response.body,
    )
