"""`reelhook models` and `reelhook costs`."""

from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.calls import show_response
from reelhook.cli.options import AsJson, InProject, Url


def models(
    filter_: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT", help="Only models with this text in their name.", show_default=False
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the models of your own servers, and the models whose limits are known.

    Providers have more models. Name them as `provider/model`; the name is passed on unchanged.
    """
    show_response(
        url,
        lambda api: api.get("/api/models", served="true"),
        lambda catalog: _show_models(catalog, filter_ or ""),
        as_json=as_json,
    )


def _show_models(catalog: dict[str, Any], part: str) -> None:
    any_served = _show_served(catalog.get("servers") or [], part)
    matching = [model for model in catalog["models"] if part.lower() in model["model"].lower()]
    if matching:
        render.show_table(
            ("MODEL", "SECONDS", "SIZES AND RATIOS", "IMAGE", "SEED", "ALSO TAKES", "PRICE"),
            (
                (
                    model["model"],
                    _listed(model["seconds"]),
                    _listed([*(model["sizes"] or ()), *(model["aspectRatios"] or ())])
                    if model["sizes"] is not None or model["aspectRatios"] is not None
                    else "any",
                    model["image"],
                    "yes" if model["seed"] else "no",
                    _also_taken(model),
                    _prices_text(model.get("prices", [])),
                )
                for model in matching
            ),
            wrap=True,
        )
    elif render.on_terminal() and not any_served:
        render.say(f"No model has {part!r} in its name." if part else "No limits are known.")
    for alias, model in catalog["aliases"].items():
        render.hint(f"{alias} is an alias of {model}")
    default = catalog["defaultModel"] or "the openai server's default"
    render.hint(f"Providers here: {', '.join(catalog['providers'])}. Default model: {default}")


def _also_taken(model: dict[str, Any]) -> str:
    """Return the other fields that a model takes, by their options of `submit`.

    A server of an earlier version reports none of them.
    """
    taken = [f"resolution {_listed(model['resolutions'])}"] if model.get("resolutions") else []
    for name, option in (
        ("negativePrompt", "negative-prompt"),
        ("audio", "audio"),
        ("lastFrame", "last-frame"),
    ):
        taken += [option] if model.get(name) else []
    for kind in ("image", "video", "audio"):
        most = model.get(f"reference{kind.capitalize()}sMax")
        taken += [f"{most} reference-{kind}"] if most else []
    return ", ".join(taken) or "-"


def _prices_text(tables: list[dict[str, Any]]) -> str:
    """Return a model's prices as text: the range of each table's figures."""
    texts = []
    for table in tables:
        for per in ("second", "video"):
            amounts = [line["amount"] for line in table["lines"] if line["per"] == per]
            if amounts:
                least, most = min(amounts), max(amounts)
                amount = f"{least:.6g}" + (f" to {most:.6g}" if most > least else "")
                texts.append(f"{amount} {table['unit']} a {per}")
    return ", ".join(dict.fromkeys(texts)) or "unknown"


def _show_served(servers: list[dict[str, Any]], part: str) -> bool:
    """Print the models of self-hosted servers. Return True if there is at least one."""
    rows = [
        (name, server["account"], server["server"] or "", "ignored" if server["ignored"] else "")
        for server in servers
        for name in server["models"]
        if part.lower() in name.lower()
    ]
    if rows:
        render.show_table(("MODEL", "ACCOUNT", "SERVER", "NAME"), rows, wrap=True)
    if any(server["ignored"] for server in servers):
        render.hint(
            "ignored: the server renders with its own model, whichever model a request names"
        )
    for server in servers:
        if server["error"]:
            render.complain(f"the models of {server['account']} are not known: {server['error']}")
    return bool(rows)


def _listed(values: list[str] | None) -> str:
    if values is None:
        return "any"
    if len(values) > 4 and all(value.isdecimal() for value in values):
        numbers = sorted(map(int, values))
        if numbers == list(range(numbers[0], numbers[-1] + 1)):
            return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(values) or "none"


def costs(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DAY", help="The first day. Default: a month ago.", show_default=False
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="The last day. Default: today.", show_default=False),
    ] = None,
    project: InProject = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the costs of jobs by day and model: reported by their providers, or estimated."""
    show_response(
        url,
        lambda api: api.get("/api/costs", since=since, until=until),
        _show_costs,
        as_json=as_json,
        project=project,
    )


def _show_costs(costs: dict[str, Any]) -> None:
    cost_lines = costs["costs"]
    if not cost_lines and render.on_terminal():
        render.say("No jobs in these days.")
        return
    render.show_table(
        ("DAY", "MODEL", "JOBS", "COMPLETED", "CHARGED", "QUOTED", "ESTIMATED", "UNIT"),
        (
            (
                line["day"],
                line["model"],
                line["jobs"],
                line["completed"],
                _amount(line["charged"]),
                _amount(line["quoted"]),
                _amount(line.get("estimated")),
                line["unit"] or "unknown",
            )
            for line in cost_lines
        ),
        keep=2,
    )
    _show_totals(cost_lines)


def _show_totals(cost_lines: list[dict[str, Any]]) -> None:
    """Print the sum of each unit; those with a known rate are added up in its currency."""
    totals: dict[str, float] = {}
    estimated: dict[str, float] = {}
    for line in cost_lines:
        costs = line.get("converted") or line
        unit = costs["unit"]
        if unit:
            spent = costs["charged"] if costs["charged"] is not None else costs["quoted"] or 0.0
            by_price = costs.get("estimated") or 0.0
            totals[unit] = totals.get(unit, 0.0) + spent + by_price
            estimated[unit] = estimated.get(unit, 0.0) + by_price
    for unit, total in totals.items():
        part = f", of which {estimated[unit]:.6g} are estimated" if estimated[unit] else ""
        render.hint(f"Total: {total:.6g} {unit}{part}")


def _amount(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
