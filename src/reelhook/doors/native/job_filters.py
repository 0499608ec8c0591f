"""The query parameters that filter the list of jobs."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.job import Status
from reelhook.doors.fields import Time, instant
from reelhook.gateway import JobFilter

_METADATA = "metadata."
FILTERS = (
    *("status", "model", "code", "externalId", f"{_METADATA}NAME"),
    *("createdAfter", "createdBefore", "cause"),
)
_OTHER_PARAMETERS = frozenset({"limit", "cursor", "inDoubt", "project", "token"})


class UnknownFilterError(InvalidRequestError):
    """Jobs can't be filtered by this, since no index has it."""

    problem = "unknown_filter"

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            f"Jobs can't be filtered by {name}; the filters are {', '.join(FILTERS)}",
        )


# Asynchronous, since FastAPI runs other dependencies in a thread.
async def _job_filter(
    request: Request,
    status: Status | None = None,
    model: Annotated[
        str | None, Query(description="The model as its provider names it, e.g. sora-2")
    ] = None,
    code: Annotated[str | None, Query(description="The code of failed jobs, e.g. quota")] = None,
    external_id: Annotated[str | None, Query(alias="externalId")] = None,
    created_after: Annotated[
        Time | None, Query(alias="createdAfter", description="E.g. 2026-01-31T10:00Z")
    ] = None,
    created_before: Annotated[Time | None, Query(alias="createdBefore")] = None,
) -> JobFilter:
    """Return the filter of a request. `metadata.NAME=VALUE` may be repeated with other names.

    A misspelt filter must not list everything, so other parameters are refused, except those that
    begin with an underscore: some programs add one to keep responses from being cached.
    """
    parameters = request.query_params.multi_items()
    for name, _ in parameters:
        known = name in FILTERS or name in _OTHER_PARAMETERS or name.startswith((_METADATA, "_"))
        if not known:
            raise UnknownFilterError(name)
    return JobFilter(
        status=status,
        model=model,
        code=code,
        external_id=external_id,
        metadata=tuple(
            (name.removeprefix(_METADATA), value)
            for name, value in parameters
            if name.startswith(_METADATA)
        ),
        created_after=_maybe_instant("createdAfter", created_after),
        created_before=_maybe_instant("createdBefore", created_before),
    )


def _maybe_instant(field: str, time: datetime | None) -> Instant | None:
    return None if time is None else instant(time, field)


JobFilterOf = Annotated[JobFilter, Depends(_job_filter)]
