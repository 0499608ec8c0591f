"""The providers' accounts, and how their models do."""

from collections.abc import Mapping
from typing import Any

from reelhook.domain.caller import Scope
from reelhook.domain.model import Model
from reelhook.doors.web.overview import accounts_of
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.tallies import model_figures
from reelhook.doors.web.view import View

router = new_router()


@page(router, "/providers", "providers.html")
async def providers(view: View) -> Mapping[str, Any]:
    """Return the accounts and the models."""
    gateway, who = view.gateway, view.who
    catalog = gateway.models.catalog(who)
    day = await gateway.activity.last_day(who)
    renders = await gateway.activity.render_times(who)
    return {
        "accounts": await accounts_of(view),
        "names": list(catalog.accounts),
        "figures": model_figures(day, renders),
        "models": [route for route in catalog.models() if who.allows_model(route.display_name)],
        "limits": limits_text,
        "aliases": catalog.aliases,
        "is_operator": who.allows(Scope.OPERATOR),
    }


def limits_text(model: Model | None) -> str:
    """Return what a model takes, in a few words."""
    if model is None:
        return "its limits are not known"
    parts = [
        f"{', '.join(model.seconds)} s" if model.seconds else "",
        ", ".join(model.sizes or model.resolutions or model.aspect_ratios or ()),
        {"required": "needs an image", "none": "takes no image"}.get(model.image.value, ""),
    ]
    return "; ".join(part for part in parts if part)
