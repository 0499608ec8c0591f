"""The commands of `reelhook budgets`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from reelhook.cli.budget_view import show_budget
from reelhook.cli.calls import show_response
from reelhook.cli.client import Api, ApiError, ApiResponse
from reelhook.cli.options import AsJson, Url

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_AMOUNT = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=(\d+(?:\.\d+)?|none)")
_COUNT = re.compile(r"\d+|none")
_LIFETIME = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FIELDS = ("jobsInFlight", "jobsPerDay", "moneyPerDay", "moneyPerMonth", "unknownPrice")

Project = Annotated[
    str,
    typer.Option(metavar="PROJECT", help="The project that is limited, by id or name."),
]
KeyId = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="ID",
        help="The key that is limited, instead of a project.",
        show_default=False,
    ),
]
JobsInFlight = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Unfinished jobs at once; `none` for no limit.", show_default=False
    ),
]
JobsPerDay = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Jobs accepted in one day (UTC); `none` for no limit.", show_default=False
    ),
]
MoneyPerDay = Annotated[
    list[str] | None,
    typer.Option(
        metavar="UNIT=AMOUNT",
        help="Money for the jobs of one day (UTC), like USD=10; USD=none for no limit. May be "
        "repeated for other currencies.",
        show_default=False,
    ),
]
MoneyPerMonth = Annotated[
    list[str] | None,
    typer.Option(
        metavar="UNIT=AMOUNT",
        help="Money for the jobs of one month (UTC), like USD=200. May be repeated.",
        show_default=False,
    ),
]


def set_(
    *,
    project: Project = "default",
    key: KeyId = None,
    jobs_in_flight: JobsInFlight = None,
    jobs_per_day: JobsPerDay = None,
    money_per_day: MoneyPerDay = None,
    money_per_month: MoneyPerMonth = None,
    unknown_price: Annotated[
        str | None,
        typer.Option(
            metavar="UNIT=AMOUNT",
            help="Reserved for a job whose price is not known, like USD=0.5. Without it, such a "
            "job is refused where money is limited; USD=none removes it.",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Set limits of a project or a key. Other limits stay as they are; a raise ends.

    The first limits count the jobs of this day and month. A limit below what is in use is kept, and
    lets no more jobs in.
    """
    given = _given(jobs_in_flight, jobs_per_day, money_per_day, money_per_month)
    if unknown_price is not None:
        given["unknownPrice"] = _amounts([unknown_price], "--unknown-price")
    if not given:
        raise typer.BadParameter("give a limit to set, such as --money-per-day USD=10")
    path = _path(project, key)

    async def set_limits(api: Api) -> ApiResponse:
        present = (await api.get(path)).value
        return await api.put(path, _merged(present, given))

    show_response(url, set_limits, show_budget, as_json=as_json, as_operator=True)


def show(
    project: Project = "default", key: KeyId = None, url: Url = None, as_json: AsJson = False
) -> None:
    """Show the limits of a project or a key, and what is reserved and spent."""
    path = _path(project, key)
    show_response(url, lambda api: api.get(path), show_budget, as_json=as_json)


def raise_(
    *,
    project: Project = "default",
    key: KeyId = None,
    jobs_in_flight: JobsInFlight = None,
    jobs_per_day: JobsPerDay = None,
    money_per_day: MoneyPerDay = None,
    money_per_month: MoneyPerMonth = None,
    lasting: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="TIME", help="How long it lasts: 30m, 2h or 3d.", show_default=False
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Its end, like 2026-12-01T00:00Z.", show_default=False),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Raise limits for a while. They fall back by themselves."""
    given = _given(jobs_in_flight, jobs_per_day, money_per_day, money_per_month)
    if not given:
        raise typer.BadParameter("give a limit to raise, such as --money-per-day USD=20")
    body = {**given, "until": _end(lasting, until)}
    path = _path(project, key) + "/raise"
    show_response(
        url, lambda api: api.post(path, body), show_budget, as_json=as_json, as_operator=True
    )


def _path(project: str, key: str | None) -> str:
    kind, name = ("projects", project) if key is None else ("keys", key)
    if not _NAME.fullmatch(name):
        code = "project_not_found" if key is None else "key_not_found"
        raise ApiError(f"{'Project' if key is None else 'Key'} not found", code)
    return f"/api/{kind}/{name}/budgets"


def _given(
    jobs_in_flight: str | None,
    jobs_per_day: str | None,
    money_per_day: list[str] | None,
    money_per_month: list[str] | None,
) -> dict[str, Any]:
    """Return the limits that were given; None for one that is removed."""
    given: dict[str, Any] = {}
    for name, option, count in (
        ("jobsInFlight", "--jobs-in-flight", jobs_in_flight),
        ("jobsPerDay", "--jobs-per-day", jobs_per_day),
    ):
        if count is not None:
            if not _COUNT.fullmatch(count):
                raise typer.BadParameter("write a whole number, or none", param_hint=option)
            given[name] = None if count == "none" else int(count)
    for name, option, amounts in (
        ("moneyPerDay", "--money-per-day", money_per_day),
        ("moneyPerMonth", "--money-per-month", money_per_month),
    ):
        if amounts:
            given[name] = _amounts(amounts, option)
    return given


def _amounts(texts: list[str], option: str) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for text in texts:
        match = _AMOUNT.fullmatch(text)
        if match is None:
            raise typer.BadParameter(
                f"write UNIT=AMOUNT, like USD=10, not {text!r}", param_hint=option
            )
        found[match[1]] = None if match[2] == "none" else float(match[2])
    return found


def _merged(present: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the present limits with those that were given."""
    merged: dict[str, Any] = {name: present[name] for name in _FIELDS}
    for name, value in given.items():
        if isinstance(value, dict):
            before = {} if name == "unknownPrice" else merged[name]
            amounts = {**before, **value}
            merged[name] = {unit: each for unit, each in amounts.items() if each is not None}
        else:
            merged[name] = value
    return {name: value for name, value in merged.items() if value not in (None, {})}


def _end(lasting: str | None, until: str | None) -> str:
    """Return the end of a raise in the form of the API."""
    if (lasting is None) == (until is None):
        raise typer.BadParameter("give either --for or --until")
    if lasting is not None:
        match = _LIFETIME.fullmatch(lasting)
        if match is None:
            raise typer.BadParameter("write 30m, 2h or 3d", param_hint="--for")
        time = timedelta(**{_UNITS[match[2]]: int(match[1])})
        return (datetime.now(UTC) + time).isoformat()
    try:
        end = datetime.fromisoformat(until or "")
    except ValueError:
        end = None
    if end is None or end.tzinfo is None:
        raise typer.BadParameter(
            "write a time with its time zone, like 2026-12-01T00:00Z", param_hint="--until"
        )
    return end.isoformat()
