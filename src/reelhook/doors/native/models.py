"""Models: what they can do, and what their jobs cost."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.doors.context import ContextOf
from reelhook.doors.fields import Day
from reelhook.doors.native.model_schemas import (
    CostsResponse,
    ModelsResponse,
    cost_line_response,
    model_response,
    server_response,
)
from reelhook.doors.policy import KeyRoute, needs

router = APIRouter(tags=["providers"], route_class=KeyRoute)
DAYS_MAX = 366
DAYS = 30
_DAY_MILLISECONDS = 24 * 3600 * 1000
_EPOCH = date(1970, 1, 1).toordinal()


@router.get("/api/models", summary="List the models, with what they can do")
@needs(Scope.READ)
async def models(
    context: ContextOf,
    served: Annotated[
        bool, Query(description="Also ask the accounts' servers, which may take seconds")
    ] = False,
) -> ModelsResponse:
    """Return the models whose limits are known. A provider may have others, which are passed on:
    with `served`, `servers` has those that the accounts' servers list.
    """
    gateway, caller = context.gateway, context.caller
    catalog = gateway.models.catalog(caller)
    servers = await gateway.models.servers(caller) if served else None
    return ModelsResponse(
        models=[model_response(choice) for choice in catalog.models()],
        providers=list(catalog.providers),
        default_model=context.options.default_model,
        aliases=catalog.aliases,
        servers=None if servers is None else [server_response(server) for server in servers],
    )


@router.get("/api/costs", summary="Costs of jobs, by day, model and unit")
@needs(Scope.READ)
async def costs(
    context: ContextOf,
    since: Annotated[
        Day | None, Query(description="The first day, in UTC. Default: 30 days ago")
    ] = None,
    until: Annotated[Day | None, Query(description="The last day. Default: today")] = None,
) -> CostsResponse:
    """Return totals by the day on which jobs were requested, if providers report charges."""
    today = datetime.fromtimestamp(context.options.clock.now() / 1000, UTC).date()
    last = until or today
    # Computed with numbers of days, since `date` ends with the calendar's first and last day.
    first = since or date.fromordinal(max(1, last.toordinal() - DAYS + 1))
    if not 0 <= (last - first).days < DAYS_MAX:
        raise InvalidRequestError(
            "since", f"since must not be after until, nor more than {DAYS_MAX} days before it"
        )
    lines = await context.gateway.operations.costs(
        context.caller, _start(first), _start(last) + _DAY_MILLISECONDS
    )
    return CostsResponse(costs=[cost_line_response(line) for line in lines])


def _start(day: date) -> int:
    return (day.toordinal() - _EPOCH) * _DAY_MILLISECONDS
