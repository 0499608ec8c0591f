"""The bodies that the routes about budgets take and return."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from reelhook.domain.budget import JOBS, BudgetLimits
from reelhook.domain.budget_usage import Usage
from reelhook.domain.event import Instant, iso, maybe_iso
from reelhook.domain.money import AMOUNT_MAX, MILLION, Money, whole
from reelhook.doors.fields import Schema, Time
from reelhook.gateway import BudgetStatus

UNITS_MAX = 10
UNIT_CHARACTERS_MAX = 32

Count = Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MAX)]
Amount = Annotated[float, Field(ge=0, le=AMOUNT_MAX, allow_inf_nan=False)]
Unit = Annotated[str, Field(min_length=1, max_length=UNIT_CHARACTERS_MAX)]
Amounts = Annotated[
    dict[Unit, Amount], Field(max_length=UNITS_MAX, json_schema_extra={"example": {"USD": 10}})
]


class LimitsBody(Schema):
    """The limits of a budget. A limit that is left out does not exist."""

    # A misspelt limit must not be taken for none.
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    jobs_in_flight: Count | None = Field(None, description="Unfinished jobs at once")
    jobs_per_day: Count | None = Field(None, description="Jobs accepted in one day (UTC)")
    money_per_day: Amounts | None = Field(
        None, description="By currency, for the jobs accepted in one day (UTC)"
    )
    money_per_month: Amounts | None = Field(
        None, description="By currency, for the jobs accepted in one month (UTC)"
    )

    def limits(self) -> BudgetLimits:
        """Return the limits."""
        return BudgetLimits(
            jobs_in_flight=self.jobs_in_flight,
            jobs_per_day=self.jobs_per_day,
            money_per_day=_millionths(self.money_per_day),
            money_per_month=_millionths(self.money_per_month),
        )


class BudgetBody(LimitsBody):
    """The limits of a budget, and what it reserves for a job whose price is not known."""

    unknown_price: Annotated[dict[Unit, Amount], Field(max_length=1)] | None = Field(
        None,
        description="Reserved for a job whose price is not known; only the operator sets it. "
        "If absent, such a job is refused where money is limited",
        json_schema_extra={"example": {"USD": 0.5}},
    )

    def limits(self) -> BudgetLimits:
        """Return the limits."""
        unknown = next(iter(_millionths(self.unknown_price).items()), None)
        price = None if unknown is None else Money(unknown[1], unknown[0])
        return replace(LimitsBody.limits(self), unknown_price=price)


class RaiseBody(LimitsBody):
    """Higher limits that hold for a while. Limits that are left out stay as they are."""

    until: Time = Field(description="The end of the raise")

    @property
    def instant(self) -> Instant:
        """The end of the raise."""
        return round(self.until.timestamp() * 1000)


class UsageResponse(Schema):
    """The use of one limit in its present period."""

    budget: str = Field(description="jobsInFlight, jobsPerDay, moneyPerDay or moneyPerMonth")
    unit: str = Field(description="A currency, a provider's own unit, or jobs")
    limit: float | int | None = Field(description="null: counted, but not limited")
    reserved: float | int = Field(description="By jobs that have not ended, or are unresolved")
    spent: float | int = Field(description="Charged, or estimated where no charge is reported")
    over: bool = Field(description="More is in use than the limit allows: no more jobs are let in")
    resets_at: str | None = Field(description="The end of the period; null: it has none")


class RaisedResponse(Schema):
    """Higher limits that hold for a while."""

    jobs_in_flight: int | None
    jobs_per_day: int | None
    money_per_day: dict[str, float | int]
    money_per_month: dict[str, float | int]
    until: str


class BudgetResponse(Schema):
    """The budget of a project or a key: its limits, and their use."""

    project: str | None = Field(description="The project's id; null: it is a key's budget")
    key: str | None = Field(description="The key's id; null: it is a project's budget")
    jobs_in_flight: int | None
    jobs_per_day: int | None
    money_per_day: dict[str, float | int]
    money_per_month: dict[str, float | int]
    unknown_price: dict[str, float | int]
    raised: RaisedResponse | None
    usage: list[UsageResponse]


def budget_response(status: BudgetStatus, now: Instant) -> BudgetResponse:
    """Return a budget, as a response shows it."""
    budget = status.budget
    kind, _, owner_id = budget.owner.partition(":")
    unknown = budget.limits.unknown_price
    raised = None
    if budget.raised is not None and budget.raised_until is not None and budget.raised_until > now:
        raised = RaisedResponse(**_shown(budget.raised), until=iso(budget.raised_until))
    return BudgetResponse(
        project=owner_id if kind == "project" else None,
        key=owner_id if kind == "key" else None,
        **_shown(budget.limits),
        unknown_price={} if unknown is None else {unknown.unit: whole(unknown.amount)},
        raised=raised,
        usage=[_usage_response(line) for line in status.usage],
    )


def _millionths(amounts: Mapping[str, float] | None) -> dict[str, int]:
    return {unit: round(amount * MILLION) for unit, amount in (amounts or {}).items()}


def _amounts(limits: Mapping[str, int]) -> dict[str, float | int]:
    return {unit: whole(amount) for unit, amount in limits.items()}


def _shown(limits: BudgetLimits) -> dict[str, Any]:
    return {
        "jobs_in_flight": limits.jobs_in_flight,
        "jobs_per_day": limits.jobs_per_day,
        "money_per_day": _amounts(limits.money_per_day),
        "money_per_month": _amounts(limits.money_per_month),
    }


def _usage_response(line: Usage) -> UsageResponse:
    def shown(amount: int) -> float | int:
        return amount if line.unit == JOBS else whole(amount)

    return UsageResponse(
        budget=to_camel(line.kind.value),
        unit=line.unit,
        limit=None if line.limit is None else shown(line.limit),
        reserved=shown(line.reserved),
        spent=shown(line.spent),
        over=line.over,
        resets_at=maybe_iso(line.resets_at),
    )
