"""Models, as OpenAI's `/v1/models` lists them. An id may have slashes."""

from typing import Annotated

from fastapi import APIRouter, Query

from reelhook.domain.caller import Caller, ModelNotAllowedError, Scope
from reelhook.domain.catalog import Catalog, ModelRoute
from reelhook.domain.errors import InvalidRequestError, NotFoundError
from reelhook.doors.context import ContextOf
from reelhook.doors.openai.openapi import ERRORS
from reelhook.doors.openai.schemas import ModelCard, ModelPage
from reelhook.doors.policy import KeyRoute, needs

router = APIRouter(
    prefix="/v1/models", tags=["OpenAI's API"], route_class=KeyRoute, responses=ERRORS
)


class ModelNotFoundError(NotFoundError):
    """There is no such model."""

    code = "model_not_found"
    kind = "Model"


@router.get("", summary="List the models that a video may name")
@needs(Scope.READ)
async def models(
    context: ContextOf,
    served: Annotated[
        bool, Query(description="Also ask the accounts' servers, which may take seconds")
    ] = True,
) -> ModelPage:
    """Return the known models, those that servers list, and the aliases, if the key may use them.

    A provider may have others, which are passed on.
    """
    catalog = context.gateway.models.catalog(context.caller)
    servers = await context.gateway.models.servers(context.caller) if served else []
    known = (route.display_name for route in catalog.models())
    names = (*known, *(name for server in servers for name in server.models), *catalog.aliases)
    routes = ((name, catalog.choose(name)) for name in dict.fromkeys(names))
    cards = [_card(name, route) for name, route in routes if _allows(context.caller, route)]
    return ModelPage(data=cards)


@router.get("/{model:path}", summary="Read a model")
@needs(Scope.READ)
async def model(model: str, context: ContextOf) -> ModelCard:
    """Return a model that a video may name; 404 if it may not."""
    catalog = context.gateway.models.catalog(context.caller)
    route = _route(catalog, model)
    if route is None or not _allows(context.caller, route):
        raise ModelNotFoundError(model)
    return _card(model, route)


def _route(catalog: Catalog, name: str) -> ModelRoute | None:
    try:
        return catalog.choose(name) if name else None
    except InvalidRequestError:
        return None


def _allows(caller: Caller, route: ModelRoute) -> bool:
    try:
        caller.check_model(route.display_name)
    except ModelNotAllowedError:
        return False
    return True


def _card(name: str, route: ModelRoute) -> ModelCard:
    return ModelCard(id=name, owned_by=route.provider)
