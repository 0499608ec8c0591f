"""Providers: their models, what they charged, and their calls when something happened."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from reelhook.domain.catalog import ModelRoute
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.doors.context import OperationsOf, options_of, use_cases_of
from reelhook.doors.native.provider_schemas import (
    CostsResponse,
    ModelResponse,
    ModelsResponse,
    NoticeResponse,
    cost_line,
    server_answer,
)

router = APIRouter(tags=["providers"])
DAYS_MAX = 366
DAYS = 30
_EPOCH = date(1970, 1, 1).toordinal()


@router.get("/api/models", summary="List the models, with what they can do")
async def models(
    request: Request,
    served: Annotated[
        bool, Query(description="Also ask the accounts' servers, which may take seconds")
    ] = False,
) -> ModelsResponse:
    """Return the models whose limits are known. A provider may have others, which are passed on:
    with `served` those that accounts' servers list come along, in `servers`.
    """
    use_cases = use_cases_of(request)
    catalog = use_cases.catalog
    return ModelsResponse(
        models=[_model(choice) for choice in catalog.models()],
        providers=list(catalog.providers),
        default_model=options_of(request).default_model,
        aliases=catalog.aliases,
        servers=[server_answer(one) for one in await use_cases.servers.all()] if served else None,
    )


def _model(choice: ModelRoute) -> ModelResponse:
    limits = choice.limits
    assert limits is not None  # noqa: S101 - a listed model has limits
    return ModelResponse(
        model=choice.display_name,
        provider=choice.provider,
        accounts=[account.id for account in choice.accounts],
        seconds=limits.seconds,
        sizes=limits.sizes,
        aspect_ratios=limits.aspect_ratios,
        image=limits.image,
        seed=limits.seed,
        prompt_characters_max=limits.prompt_characters_max,
    )


@router.get("/api/costs", summary="What jobs cost, by day, model and unit")
async def costs(
    request: Request,
    operations: OperationsOf,
    since: Annotated[
        date | None, Query(description="The first day, in UTC. Default: 30 days ago")
    ] = None,
    until: Annotated[date | None, Query(description="The last day. Default: today")] = None,
) -> CostsResponse:
    """Return totals, of jobs by the day of their request, where providers tell what they charge."""
    today = datetime.fromtimestamp(options_of(request).clock.now() / 1000, UTC).date()
    last = until or today
    # By numbers of days: the first and the last day that there are have no neighbour.
    first = since or date.fromordinal(max(1, last.toordinal() - DAYS + 1))
    if not 0 <= (last - first).days < DAYS_MAX:
        raise InvalidRequestError(
            "since", f"since must not be after until, nor more than {DAYS_MAX} days before it"
        )
    lines = await operations.costs(_start(first), _start(last) + DAY_MILLISECONDS)
    return CostsResponse(costs=[cost_line(line) for line in lines])


def _start(day: date) -> int:
    return (day.toordinal() - _EPOCH) * DAY_MILLISECONDS


@router.post("/providers/{provider}/webhook/{token}", summary="For providers: something happened")
async def notice(provider: str, token: str, request: Request) -> NoticeResponse:
    """Take a provider's webhook: the job is read back at once. The address itself is the key;
    where the provider signs, the signature must be right too.
    """
    provider_webhooks = use_cases_of(request).provider_webhooks
    provider_webhooks.check_address(provider, token)  # before anything is read for it
    body = await request.body()
    checked = await provider_webhooks.take(provider, token, request.headers, body)
    return NoticeResponse(checked=checked)
