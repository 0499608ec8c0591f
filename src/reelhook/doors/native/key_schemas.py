"""The bodies that the routes about keys and browser tokens take and return."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from reelhook.domain.api_key import MODELS_MAX, NAME_CHARACTERS_MAX, ApiKey
from reelhook.domain.caller import Rate, Scope
from reelhook.domain.event import iso, maybe_iso
from reelhook.doors.fields import NoNul, Schema, ShortText

ScopeName = Literal["read", "submit", "operate", "admin"]
RATE_MAX = 1_000_000
_DAYS_MAX = 3650
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_WINDOW_SECONDS = {
    "requests_per_second": 1,
    "requests_per_minute": 60,
    "requests_per_hour": 3600,
    "requests_per_day": 24 * 3600,
}


def _duration(text: str) -> str:
    match = _DURATION.fullmatch(text)
    if match is None or not 1 <= _seconds(match) <= _DAYS_MAX * _UNIT_SECONDS["d"]:
        refusal = f"must be a number of s, m, h or d, like 90d, from 1s to {_DAYS_MAX}d"
        raise PydanticCustomError("ours", "{refusal}", {"refusal": refusal})
    return text


def _seconds(match: re.Match[str]) -> int:
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def seconds_of(duration: str) -> int:
    """Return the seconds of a `Duration`."""
    match = _DURATION.fullmatch(duration)
    assert match is not None  # noqa: S101 - the field was checked
    return _seconds(match)


Duration = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_duration),
    Field(json_schema_extra={"pattern": "^[0-9]{1,9}[smhd]$"}),
]
Overlap = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(lambda text: text if text == "0s" else _duration(text)),
    Field(json_schema_extra={"pattern": "^[0-9]{1,9}[smhd]$"}),
]
RateLimit = Annotated[int, Field(strict=True, ge=1, le=RATE_MAX)]
Name = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=NAME_CHARACTERS_MAX), NoNul
]


class Rates(Schema):
    """The most requests of a key, within moving windows of time, in each process."""

    # A misspelt limit would limit nothing.
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    requests_per_second: RateLimit | None = None
    requests_per_minute: RateLimit | None = None
    requests_per_hour: RateLimit | None = None
    requests_per_day: RateLimit | None = None

    def limits(self) -> tuple[Rate, ...]:
        """Return the limits, the shortest window first."""
        return tuple(
            Rate(requests, seconds)
            for name, seconds in _WINDOW_SECONDS.items()
            if (requests := getattr(self, name)) is not None
        )

    @classmethod
    def of(cls, rates: tuple[Rate, ...]) -> "Rates":
        """Return the limits of a key, as a response shows them."""
        by_window = {rate.window_seconds: rate.requests for rate in rates}
        return cls(**{name: by_window.get(seconds) for name, seconds in _WINDOW_SECONDS.items()})


class NewKeyBody(Schema):
    """A key to create."""

    name: Name = Field(description="What it is for")
    project: ShortText | None = Field(
        None, description="The id or name of its project; if absent: the caller's"
    )
    scopes: Annotated[
        list[ScopeName], Field(fail_fast=True, min_length=1, max_length=len(Scope))
    ] = Field(description="Each includes those before it: read, submit, operate, admin")
    expires: Duration | None = Field(
        None, description="How long it is accepted, e.g. 90d (s, m, h, d); if absent: forever"
    )
    models: Annotated[list[ShortText], Field(fail_fast=True, max_length=MODELS_MAX)] | None = Field(
        None, description="The only models that its jobs may use; if absent: all of its project"
    )
    rates: Rates | None = Field(
        None,
        description="The most requests; if absent: as for the key that makes it, or no limit",
    )


class RotateKeyBody(Schema):
    """A rotation of a key."""

    overlap: Overlap = Field(
        "24h", description="How long the present text is still accepted, e.g. 24h; 0s: not at all"
    )


class KeyResponse(Schema):
    """A key. Its text is shown only when it is made or rotated."""

    id: str
    project: str
    name: str
    hint: str = Field(description="The beginning of its text")
    scopes: list[str]
    models: list[str] | None = Field(description="The only models of its jobs; null: no list")
    rates: Rates
    created_at: str
    created_by: str | None = Field(description="The key that made it; null: the operator")
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None = Field(description="Recorded at most once a minute")
    previous_until: str | None = Field(
        description="Until then the text before the last rotation is accepted too"
    )


class SecretKeyResponse(KeyResponse):
    """A key with its text, which is shown only now."""

    key: str


class KeysResponse(Schema):
    """The keys, oldest first, including those that have ended."""

    keys: list[KeyResponse]


class TokenBody(Schema):
    """The options of a browser token."""

    expires: Duration = Field("1h", description="How long it is accepted, at most 24h (s, m, h, d)")


class TokenResponse(Schema):
    """A browser token. It also ends with the key that made it."""

    token: str
    expires_at: str


def key_response(key: ApiKey) -> KeyResponse:
    """Return a key, as a response shows it."""
    return KeyResponse(**_fields(key))


def secret_key_response(key: ApiKey, token: str) -> SecretKeyResponse:
    """Return a key with its text."""
    return SecretKeyResponse(**_fields(key), key=token)


def _fields(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "project": key.project,
        "name": key.name,
        "hint": key.hint,
        "scopes": [scope.value for scope in Scope if scope in key.scopes],
        "models": None if key.models is None else list(key.models),
        "rates": Rates.of(key.rates),
        "created_at": iso(key.created_at),
        "created_by": key.created_by,
        "expires_at": maybe_iso(key.expires_at),
        "revoked_at": maybe_iso(key.revoked_at),
        "last_used_at": maybe_iso(key.last_used_at),
        "previous_until": maybe_iso(key.previous_until),
    }
