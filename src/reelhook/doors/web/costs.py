"""The costs of jobs by day and model, and the budgets."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi.responses import Response

from reelhook.domain.budget import BudgetLimits
from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.money import MILLION
from reelhook.doors.context import ContextOf
from reelhook.doors.policy import READING, needs
from reelhook.doors.web.actions import Done, Result, action
from reelhook.doors.web.forms import Form, whole_number
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.rendering import HEADERS
from reelhook.doors.web.tallies import cost_of, costs_by_unit
from reelhook.doors.web.view import View, view_of
from reelhook.gateway import BudgetStatus, CostLine

router = new_router()
PERIODS = (7, 30, 90)
_KEYS = ("provider", "model", "unit")
_NAMES = {
    "money_per_day": "Money a day",
    "money_per_month": "Money a month",
    "jobs_per_day": "Jobs a day",
    "jobs_in_flight": "Jobs in flight",
}


@page(router, "/costs", "costs.html")
async def costs(view: View) -> Mapping[str, Any]:
    """Return the costs of a period, and the budget of the project."""
    who, days = view.who, _days(view)
    lines = await view.gateway.activity.costs(who, days)
    totals = costs_by_unit(lines)
    unit = totals[0][0] if totals else None
    budget = await view.gateway.budgets.of_project(who, who.project)
    return {
        "days": days,
        "periods": PERIODS,
        "totals": totals,
        "unit": unit,
        "bars": _bars(lines, days, unit, view.now // DAY_MILLISECONDS),
        "models": _by_model(lines),
        "budget": budget,
        "has_limits": bool(budget.limits.names()),
        "names": _NAMES,
        "project": who.project,
        "raised_until": _raised_until(budget, view.now),
    }


def _days(view: View) -> int:
    text = view.query("days") or ""
    return int(text) if text in {str(days) for days in PERIODS} else PERIODS[1]


def _raised_until(budget: BudgetStatus, now: int) -> int | None:
    until = budget.budget.raised_until
    return until if until is not None and until > now else None


def _bars(
    lines: Sequence[CostLine], days: int, unit: str | None, today: int
) -> list[tuple[str, float]]:
    """Return each day with its amount in one unit, oldest first."""
    sums: dict[int, float] = {}
    for line in lines:
        found = cost_of(line)
        if found is not None and found[0] == unit:
            sums[line.day] = sums.get(line.day, 0) + found[1]
    first = today - days + 1
    return [(_date(day), sums.get(day, 0.0)) for day in range(first, today + 1)]


def _date(day: int) -> str:
    return (datetime.fromtimestamp(0, UTC) + timedelta(days=day)).strftime("%Y-%m-%d")


def _by_model(lines: Sequence[CostLine]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str, str | None], dict[str, Any]] = {}
    for line in lines:
        found = cost_of(line)
        key = (line.provider, line.model, found[0] if found else None)
        row = rows.setdefault(
            key,
            {
                "provider": key[0],
                "model": key[1],
                "unit": key[2],
                "jobs": 0,
                "completed": 0,
                "sum": 0.0,
            },
        )
        row["jobs"] += line.jobs
        row["completed"] += line.completed
        row["sum"] += found[1] if found else 0
    return sorted(rows.values(), key=lambda row: -row["sum"])


async def _csv(context: ContextOf) -> Response:
    """Return the costs of a period as CSV."""
    view = view_of(context)
    lines = await view.gateway.activity.costs(view.who, _days(view))
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(
        (
            "day",
            "project",
            "provider",
            "model",
            "unit",
            "jobs",
            "completed",
            "charged",
            "quoted",
            "estimated",
        )
    )
    for one in lines:
        names = map(_plain, (one.project, one.provider, one.model, one.unit or ""))
        amounts = (one.jobs, one.completed, one.charged, one.quoted, one.estimated)
        table.writerow((_date(one.day), *names, *amounts))
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="reelhook-costs.csv"'}
    return Response(text.getvalue(), headers=headers, media_type="text/csv")


def _plain(text: str) -> str:
    """Return a text that a spreadsheet takes for no formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


router.add_api_route("/costs.csv", needs(Scope.READ)(_csv), methods=READING)


@action(router, "/costs/raise", Scope.OPERATOR, costs)
async def raise_budget(view: View, form: Form) -> Result:
    """Raise the limits of the project for some hours."""
    hours = _whole(form, "hours", 1, 24 * 31)
    if hours is None:
        raise InvalidRequestError("hours", "Give the hours for which the limits are raised")
    unit = form.get("unit", "").strip().upper()
    raised = BudgetLimits(
        jobs_in_flight=_whole(form, "jobs_in_flight", 0, 10**9),
        jobs_per_day=_whole(form, "jobs_per_day", 0, 10**9),
        money_per_day=_money(form, "money_per_day", unit),
        money_per_month=_money(form, "money_per_month", unit),
    )
    until = view.now + hours * 3_600_000
    await view.gateway.budgets.raise_project(view.who, view.who.project, raised, until)
    return Done(view.to("costs"), "raised")


def _whole(form: Form, name: str, least: int, most: int) -> int | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    number = whole_number(text)
    if number is None or not least <= number <= most:
        raise InvalidRequestError(name, f"{_NAMES.get(name, name)} must be a whole number")
    return number


def _money(form: Form, name: str, unit: str) -> dict[str, int]:
    text = form.get(name, "").strip()
    if not text:
        return {}
    try:
        amount = float(text)
    except ValueError:
        amount = -1
    if not 0 <= amount <= 10**9 or not unit:
        raise InvalidRequestError(name, f"{_NAMES[name]} must be an amount, with a currency")
    return {unit: round(amount * MILLION)}
