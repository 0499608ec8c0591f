"""The fields that several doors take: their types, and the form of all bodies."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.request import JOB_ID, JOB_ID_CHARACTERS_MAX, SHORT_CHARACTERS_MAX

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
ENDPOINTS_MAX = 10
"""The most endpoints that a job may name."""


class Schema(BaseModel):
    """camelCase outside, snake_case inside; strict about types, open to keys we don't know."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def _without_nul(value: str) -> str:
    # PostgreSQL's text and many renderers can't take it.
    if "\0" in value:
        raise PydanticCustomError("nul", "must not contain NUL characters")
    return value


def _day(value: object) -> object:
    # Pydantic would also take numbers, as seconds since 1970.
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise PydanticCustomError("date_type", "must be a date")
    return value


def _time(value: object) -> object:
    if not isinstance(value, str) or not _DAY.match(value):
        raise PydanticCustomError("datetime_type", "must be a time")
    return value


def is_absent(value: object) -> bool:
    """Return True if a response leaves the field out."""
    return value is None


def instant(time: datetime, field: str) -> Instant:
    """Return a time of a request. Raises `InvalidRequestError`, naming the field."""
    # In the years 1 and 9999, the conversion to UTC may leave the range of `datetime`.
    if time.timestamp() < 0:
        raise InvalidRequestError(field, f"{field} must be a time after 1970")
    return round(time.timestamp() * 1000)


def documented(**limits: int | str) -> Any:
    """Return the annotation of a field whose limits OpenAPI shows and the domain checks."""
    return Field(strict=True, json_schema_extra=dict(limits))


Day = Annotated[date, BeforeValidator(_day)]
Time = Annotated[AwareDatetime, BeforeValidator(_time)]
NoNul = AfterValidator(_without_nul)
JobId = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=JOB_ID_CHARACTERS_MAX, pattern=f"^{JOB_ID}$"
    ),
]
Text = Annotated[str, StringConstraints(strict=True), NoNul]
ShortText = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=SHORT_CHARACTERS_MAX), NoNul
]
MaybeProject = Annotated[
    str | None,
    Field(exclude_if=is_absent, description="The project that it belongs to; absent: `default`"),
]
ChosenProject = Annotated[
    ShortText | None,
    Field(description="For the operator: the id or name of its project; if absent: `default`"),
]
EndpointIds = Annotated[list[JobId], Field(fail_fast=True, max_length=ENDPOINTS_MAX)]


def maybe_project(project: str) -> str | None:
    """Return the project as a response names it: `default` is not named."""
    return None if project == DEFAULT_PROJECT else project
