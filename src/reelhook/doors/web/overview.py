"""The overview: is all well, and if not, what needs a person."""

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from reelhook.domain.budget import LimitKind
from reelhook.domain.caller import Scope
from reelhook.domain.endpoint import Endpoint
from reelhook.doors.web.attention import attention_of
from reelhook.doors.web.job import posters_of
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.tallies import (
    costs_by_unit,
    finished_figure,
    requested_figure,
    webhook_figure,
)
from reelhook.doors.web.view import View
from reelhook.gateway import AccountStats, CostLine, JobFilter, percentiles

router = new_router()
ENDPOINTS_SHOWN = 8
LATEST_SHOWN = 5
COSTS_SECONDS = 0.1


@page(router, "/", "overview.html", idle_seconds=1)
async def overview(view: View) -> Mapping[str, Any]:
    """Return what the overview shows."""
    gateway, who = view.gateway, view.who
    activity = gateway.activity
    running, day, events, costs, held_back = await asyncio.gather(
        activity.running(who),
        activity.last_day(who),
        activity.latest_events(who),
        _soon(activity.costs(who, 1)),
        gateway.endpoints.held_back(who),
    )
    latest, budget = await asyncio.gather(
        gateway.jobs.jobs(who, JobFilter(), LATEST_SHOWN),
        gateway.budgets.of_project(who, who.project),
    )
    return {
        "running": running,
        "started": requested_figure(day),
        "finished": finished_figure(day),
        "webhooks": webhook_figure(day),
        "lag": percentiles([lag.milliseconds for lag in day.lags]),
        "costs": None if costs is None else costs_by_unit(costs),
        "budget": next(
            (line for line in budget.usage if line.kind is LimitKind.MONEY_PER_DAY and line.limit),
            None,
        ),
        "events": events,
        "endpoints": _worst_first(await gateway.endpoints.all(who), held_back),
        "accounts": await accounts_of(view),
        "needs": await attention_of(view),
        "latest": latest.jobs,
        "posters": await posters_of(view, who, [listed.job for listed in latest.jobs]),
        "nothing_yet": not events and not running.total,
    }


async def _soon(costs: Awaitable[list[CostLine]]) -> list[CostLine] | None:
    """Return the costs of the day; None if adding them up takes long: the next look has them."""
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(costs, COSTS_SECONDS)
    return None


async def accounts_of(view: View) -> tuple[AccountStats, ...]:
    """Return the accounts, for the operator of all projects; for others none."""
    if not view.who.allows(Scope.OPERATOR) or view.one_project:
        return ()
    accounts = (await view.gateway.operations.accounts(view.who))[1]
    return tuple(sorted(accounts, key=_idle))


def _idle(account: AccountStats) -> tuple[bool, bool]:
    """Return the place of an account: those in trouble first, then those that work."""
    trouble = account.error is not None or account.unread is not None
    return not trouble, not (account.in_flight or account.waiting)


def _worst_first(endpoints: Sequence[Endpoint], held_back: Sequence[Endpoint]) -> list[Endpoint]:
    worst = {endpoint.id: endpoint for endpoint in held_back}
    return [*worst.values(), *(one for one in endpoints if one.id not in worst)][:ENDPOINTS_SHOWN]
