"""The overview: is all well, and if not, what needs a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reelhook.domain.caller import Scope
from reelhook.domain.endpoint import Endpoint
from reelhook.doors.web.attention import attention_of
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.view import View
from reelhook.gateway import AccountStats, CostLine, LastDay, percentiles

router = new_router()
HOURS = 24
ENDPOINTS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Hour:
    """The counts of one hour of a strip."""

    good: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in a tile, the share that went well, and its strip."""

    count: int
    bad: int
    hours: Sequence[Hour]
    capped: bool = False


@page(router, "/", "overview.html", idle_seconds=5)
async def overview(view: View) -> Mapping[str, Any]:
    """Return what the overview shows."""
    gateway, who = view.gateway, view.who
    activity = gateway.activity
    running = await activity.running(who)
    day = await activity.last_day(who)
    events = await activity.latest_events(who)
    held_back = await gateway.endpoints.held_back(who)
    accounts = await accounts_of(view)
    needs = await attention_of(view)
    return {
        "running": running,
        "started": _started(day),
        "finished": _finished(day),
        "webhooks": webhook_figure(day),
        "lag": percentiles([lag.milliseconds for lag in day.lags]),
        "costs": costs_by_unit(await activity.costs(who, 1)),
        "events": events,
        "endpoints": _worst_first(await gateway.endpoints.all(who), held_back),
        "accounts": accounts,
        "needs": needs,
        "nothing_yet": not events and not running.total,
    }


async def accounts_of(view: View) -> tuple[AccountStats, ...]:
    """Return the accounts, for the operator of all projects; for others none."""
    if not view.who.allows(Scope.OPERATOR) or view.one_project:
        return ()
    return (await view.gateway.operations.accounts(view.who))[1]


def _started(day: LastDay) -> Figure:
    hours = [0] * HOURS
    for tally in day.jobs:
        hours[_within(tally.hour)] += tally.jobs
    return Figure(sum(hours), 0, [Hour(count) for count in hours], _is_capped(sum(hours), day))


def _finished(day: LastDay) -> Figure:
    good, bad = [0] * HOURS, [0] * HOURS
    for tally in day.jobs:
        if tally.status == "completed":
            good[_within(tally.hour)] += tally.jobs
        elif tally.status in {"failed", "canceled"}:
            bad[_within(tally.hour)] += tally.jobs
    total = sum(tally.jobs for tally in day.jobs)
    return _figure(good, bad, capped=_is_capped(total, day))


def webhook_figure(day: LastDay, endpoint_id: str | None = None) -> Figure:
    """Return the attempts of the last day, at one endpoint or at all."""
    good, bad = [0] * HOURS, [0] * HOURS
    for tally in day.attempts:
        if endpoint_id in {None, tally.endpoint_id}:
            (good if tally.succeeded else bad)[_within(tally.hour)] += tally.attempts
    total = sum(tally.attempts for tally in day.attempts)
    return _figure(good, bad, capped=_is_capped(total, day))


def _figure(good: Sequence[int], bad: Sequence[int], *, capped: bool) -> Figure:
    hours = [Hour(*counts) for counts in zip(good, bad, strict=True)]
    return Figure(sum(good) + sum(bad), sum(bad), hours, capped)


def _is_capped(total: int, day: LastDay) -> bool:
    return total >= day.looked_at_max


def _within(hour: int) -> int:
    return min(max(hour, 0), HOURS - 1)


def costs_by_unit(lines: Sequence[CostLine]) -> list[tuple[str, float]]:
    """Return the sums of costs: charged, else quoted or estimated; in a currency if possible."""
    sums: dict[str, float] = {}
    for line in lines:
        amount = (line.charged or 0) + (line.estimated or 0)
        amount += (line.quoted or 0) if line.charged is None else 0
        if line.unit is None or not amount:
            continue
        unit = line.unit if line.rate is None else line.rate.unit
        sums[unit] = sums.get(unit, 0) + amount * (1 if line.rate is None else line.rate.amount)
    return sorted(sums.items(), key=lambda item: -item[1])


def _worst_first(endpoints: Sequence[Endpoint], held_back: Sequence[Endpoint]) -> list[Endpoint]:
    worst = {endpoint.id: endpoint for endpoint in held_back}
    return [*worst.values(), *(one for one in endpoints if one.id not in worst)][:ENDPOINTS_SHOWN]
