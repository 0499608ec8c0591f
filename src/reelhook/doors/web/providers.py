"""The providers' accounts, and how their models do."""

from collections.abc import Mapping, Sequence
from typing import Any

from reelhook.domain.caller import Scope
from reelhook.domain.model import Model
from reelhook.doors.web.overview import accounts_of
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.tallies import model_figures
from reelhook.doors.web.view import View

router = new_router()
SHOWN_MAX = 5


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
        f"{_some(_ranges(model.seconds))} s" if model.seconds else "",
        _some(model.sizes or model.resolutions or model.aspect_ratios or ()),
        {"required": "needs an image", "none": "takes no image"}.get(model.image.value, ""),
    ]
    return "; ".join(part for part in parts if part)


def _some(values: Sequence[str]) -> str:
    more = len(values) - SHOWN_MAX
    shown = ", ".join(values[:SHOWN_MAX])
    return f"{shown} and {more} more" if more > 0 else shown


def _ranges(values: Sequence[str]) -> list[str]:
    """Return whole numbers with those that follow each other as one: `4 to 30`."""
    ranges: list[list[str]] = []
    for value in values:
        if ranges and int(value) == int(ranges[-1][-1]) + 1:
            ranges[-1].append(value)
        else:
            ranges.append([value])
    return [one[0] if len(one) == 1 else f"{one[0]} to {one[-1]}" for one in ranges]
