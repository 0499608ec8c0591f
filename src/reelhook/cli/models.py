"""`reelhook models` and `reelhook costs`."""

import asyncio
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.client import api_client
from reelhook.cli.options import AsJson, Url


def models(
    filter_: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT]", help="Only those with this in their name.", show_default=False
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the models: those that your servers have, and those whose limits are known.

    Providers have others, which are passed on as they are: `provider/model`.
    """

    async def work() -> None:
        async with api_client(url) as api:
            answer = await api.get("/api/models", served="true")
            render.show(answer, lambda told: _show_models(told, filter_ or ""), as_json=as_json)

    asyncio.run(work())


def _show_models(told: dict[str, Any], part: str) -> None:
    any_served = _show_served(told.get("servers") or [], part)
    found = [one for one in told["models"] if part.lower() in one["model"].lower()]
    if found:
        render.show_table(
            ("MODEL", "SECONDS", "SIZES AND RATIOS", "IMAGE", "SEED"),
            (
                (
                    one["model"],
                    _listed(one["seconds"]),
                    _listed([*(one["sizes"] or ()), *(one["aspectRatios"] or ())])
                    if one["sizes"] is not None or one["aspectRatios"] is not None
                    else "any",
                    one["image"],
                    "yes" if one["seed"] else "no",
                )
                for one in found
            ),
            wrap=True,
        )
    elif render.on_terminal() and not any_served:
        render.say(f"No model has {part!r} in its name." if part else "No limits are known.")
    for alias, model in told["aliases"].items():
        render.hint(f"{alias} stands for {model}")
    default = told["defaultModel"] or "the openai server's own"
    render.hint(f"Providers here: {', '.join(told['providers'])}. Default model: {default}")


def _show_served(servers: list[dict[str, Any]], part: str) -> bool:
    """Print what servers of one's own have; return whether there is any such model."""
    rows = [
        (name, one["account"], one["server"] or "", "ignored" if one["ignored"] else "")
        for one in servers
        for name in one["models"]
        if part.lower() in name.lower()
    ]
    if rows:
        render.show_table(("MODEL", "ACCOUNT", "SERVER", "NAME"), rows, wrap=True)
    if any(one["ignored"] for one in servers):
        render.hint("ignored: the server renders with its own model, whatever a request names")
    for one in servers:
        if one["error"]:
            render.complain(f"the models of {one['account']} are not known: {one['error']}")
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
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what jobs cost, by day and model, where their providers tell it."""

    async def work() -> None:
        async with api_client(url) as api:
            answer = await api.get("/api/costs", since=since, until=until)
            render.show(answer, _show_costs, as_json=as_json)

    asyncio.run(work())


def _show_costs(told: dict[str, Any]) -> None:
    lines = told["costs"]
    if not lines and render.on_terminal():
        render.say("No jobs in these days.")
        return
    render.show_table(
        ("DAY", "MODEL", "JOBS", "COMPLETED", "CHARGED", "QUOTED", "UNIT"),
        (
            (
                one["day"],
                one["model"],
                one["jobs"],
                one["completed"],
                _amount(one["charged"]),
                _amount(one["quoted"]),
                one["unit"] or "not told",
            )
            for one in lines
        ),
        keep=2,
    )
    totals: dict[str, float] = {}
    for one in lines:
        if one["unit"]:
            spent = one["charged"] if one["charged"] is not None else one["quoted"] or 0.0
            totals[one["unit"]] = totals.get(one["unit"], 0.0) + spent
    for unit, total in totals.items():
        render.hint(f"Together: {total:.6g} {unit}")


def _amount(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
