"""Sums of the last day, as the tiles and tables of pages show it."""

from collections.abc import Sequence
from dataclasses import dataclass

from reelhook.gateway import CostLine, LastDay, Percentiles, RenderTime, percentiles

HOURS = 24


@dataclass(frozen=True, slots=True)
class Hour:
    """The counts of one hour of a strip."""

    good: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, the part of it that went badly, and its strip. `capped`: there may be more."""

    count: int
    bad: int
    hours: Sequence[Hour]
    capped: bool = False


@dataclass(frozen=True, slots=True)
class ModelFigure:
    """The outcomes of the jobs of one model in the last day."""

    provider: str
    model: str
    jobs: int
    completed: int
    failed: int
    moderated: int
    times: Percentiles | None


def requested_figure(day: LastDay) -> Figure:
    """Return the jobs that were requested."""
    hours = [0] * HOURS
    for tally in day.jobs:
        hours[_within(tally.hour)] += tally.jobs
    return Figure(sum(hours), 0, [Hour(count) for count in hours], sum(hours) >= day.looked_at_max)


def finished_figure(day: LastDay) -> Figure:
    """Return the jobs that ended."""
    good, bad = [0] * HOURS, [0] * HOURS
    for tally in day.jobs:
        if tally.status == "completed":
            good[_within(tally.hour)] += tally.jobs
        elif tally.status in {"failed", "canceled"}:
            bad[_within(tally.hour)] += tally.jobs
    return _figure(good, bad, capped=sum(tally.jobs for tally in day.jobs) >= day.looked_at_max)


def webhook_figure(day: LastDay, endpoint_id: str | None = None) -> Figure:
    """Return the attempts of webhooks, at one endpoint or at all."""
    good, bad = [0] * HOURS, [0] * HOURS
    for tally in day.attempts:
        if endpoint_id in {None, tally.endpoint_id}:
            (good if tally.succeeded else bad)[_within(tally.hour)] += tally.attempts
    total = sum(tally.attempts for tally in day.attempts)
    return _figure(good, bad, capped=total >= day.looked_at_max)


def _figure(good: Sequence[int], bad: Sequence[int], *, capped: bool) -> Figure:
    hours = [Hour(*counts) for counts in zip(good, bad, strict=True)]
    return Figure(sum(good) + sum(bad), sum(bad), hours, capped)


def _within(hour: int) -> int:
    return min(max(hour, 0), HOURS - 1)


def model_figures(day: LastDay, renders: Sequence[RenderTime]) -> list[ModelFigure]:
    """Return how each model did, the most used first."""
    times: dict[tuple[str, str], list[int]] = {}
    for render in renders:
        times.setdefault((render.provider, render.model), []).append(render.milliseconds)
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for tally in day.jobs:
        of_model = counts.setdefault((tally.provider, tally.model), {})
        for name in ("all", tally.status, f"code:{tally.code}"):
            of_model[name] = of_model.get(name, 0) + tally.jobs
    figures = [
        ModelFigure(
            *key,
            jobs=found.get("all", 0),
            completed=found.get("completed", 0),
            failed=found.get("failed", 0),
            moderated=found.get("code:moderation", 0),
            times=percentiles(times.get(key, [])),
        )
        for key in {**counts, **times}
        for found in [counts.get(key, {})]
    ]
    return sorted(figures, key=lambda figure: (-figure.jobs, figure.provider, figure.model))


def cost_of(line: CostLine) -> tuple[str, float] | None:
    """Return the unit and the amount of a line, in a currency if possible; None: nothing known."""
    amount = (line.charged or 0) + (line.estimated or 0)
    amount += (line.quoted or 0) if line.charged is None else 0
    if line.unit is None or not amount:
        return None
    if line.rate is None:
        return line.unit, amount
    return line.rate.unit, amount * line.rate.amount


def costs_by_unit(lines: Sequence[CostLine]) -> list[tuple[str, float]]:
    """Return the sums of costs: charged, else quoted or estimated; the highest first."""
    sums: dict[str, float] = {}
    for line in lines:
        if (found := cost_of(line)) is not None:
            sums[found[0]] = sums.get(found[0], 0) + found[1]
    return sorted(sums.items(), key=lambda item: -item[1])
