"""What a job reserves in a budget, and what its end settles."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.budget import (
    Budget,
    BudgetLimits,
    LimitKind,
    SumKey,
    day_of,
    demands,
    month_of,
    refusal,
    reserved_for,
    resets_at,
)
from reelhook.domain.job import SUBMISSION_UNKNOWN, Job, Status
from reelhook.domain.money import MILLION, Money, whole
from reelhook.domain.over_budget import JobLimitError, UnknownPriceError
from reelhook.domain.price import Price
from reelhook.domain.report import Missing
from reelhook.domain.reservation import Bill, BillOutcome, Reservation, bill_of

NOW = 1_796_000_000_000
UNITS = ("USD", "EUR", "credits")
units = st.sampled_from(UNITS)
amounts = st.integers(0, 50 * MILLION)
moneys = st.builds(Money, amounts, units)
prices = st.none() | st.builds(Price, st.integers(0, 50).map(float), units)
tables = st.dictionaries(units, amounts, max_size=3)
jobs = st.none() | st.integers(0, 5)
limits = st.builds(BudgetLimits, jobs, jobs, tables, tables, st.none() | moneys)


@given(limits, st.lists(prices, min_size=1, max_size=3))
def test_a_reservation_covers_every_price_that_the_limits_count(
    limits: BudgetLimits, prices: list[Price | None]
) -> None:
    try:
        money = reserved_for(limits, prices)
    except UnknownPriceError:
        assert limits.units
        assert limits.unknown_price is None or limits.unknown_price.unit not in limits.units
        return
    if money is None:
        assert not limits.units
        return
    for price in prices:
        if price is not None and price.unit == money.unit and limits.counts(price.unit):
            assert money >= Money.of(price)
    assert limits.counts(money.unit)
    counted = {price is not None and price.unit in limits.units for price in prices}
    if limits.units and False in counted:
        assert limits.unknown_price is not None
        assert money.unit == limits.unknown_price.unit
        assert money >= limits.unknown_price


@given(limits, st.lists(moneys | st.none(), max_size=12))
def test_however_many_jobs_come_no_sum_exceeds_its_limit(
    limits: BudgetLimits, wanted: list[Money | None]
) -> None:
    used: Counter[SumKey] = Counter()
    for money in wanted:
        asked = demands("project:default", limits, NOW, money)
        if refusal(asked, used, NOW) is None:
            used.update({one.key: one.added for one in asked})
    day = day_of(NOW)
    for table, period in ((limits.money_per_day, day), (limits.money_per_month, month_of(day))):
        for unit, most in table.items():
            assert used[SumKey("project:default", period, unit)] <= most
    for period, limit in ((day, limits.jobs_per_day), ("now", limits.jobs_in_flight)):
        assert limit is None or used[SumKey("project:default", period, "jobs")] <= limit


@given(st.none() | moneys, st.booleans(), st.sampled_from(BillOutcome), prices, limits)
def test_what_was_reserved_is_spent_or_released_exactly_once(
    money: Money | None,
    in_flight: bool,
    ending: BillOutcome,
    charge: Price | None,
    limits: BudgetLimits,
) -> None:
    reservation = Reservation("key:1", day_of(NOW), money, in_flight)
    sums: Counter[SumKey] = Counter()
    for change in (*reservation.held(), *reservation.settled(Bill(ending, charge), limits)):
        sums[change.key] += change.reserved
    if ending is BillOutcome.UNRESOLVED:
        kept = replace(reservation, in_flight=False)
        for change in kept.settled(Bill(BillOutcome.RELEASED), limits):
            sums[change.key] += change.reserved
    assert set(sums.values()) <= {0}


@given(limits, limits)
def test_a_raise_lowers_nothing_and_limits_nothing_new(
    low: BudgetLimits, high: BudgetLimits
) -> None:
    raised = Budget("project:1", low, high, NOW + 1).at(NOW)
    assert raised.names() == low.names()
    assert all(raised.money_per_day[unit] >= low.money_per_day[unit] for unit in low.money_per_day)
    assert Budget("project:1", low, high, NOW).at(NOW) is low


@given(st.integers(0, 4_000_000_000_000))
def test_a_period_ends_after_each_of_its_instants(at: int) -> None:
    for kind in (LimitKind.MONEY_PER_DAY, LimitKind.JOBS_PER_DAY):
        end = resets_at(kind, at)
        assert end is not None
        assert day_of(end - 1) == day_of(at) != day_of(end)
    end = resets_at(LimitKind.MONEY_PER_MONTH, at)
    assert end is not None
    assert month_of(day_of(end - 1)) == month_of(day_of(at)) != month_of(day_of(end))
    assert datetime.fromtimestamp(end / 1000, UTC).day == 1


def test_money_is_named_before_jobs_where_both_are_used_up() -> None:
    both = BudgetLimits(jobs_per_day=0, money_per_month={"USD": 0})
    error = refusal(demands("project:1", both, NOW, Money(1, "USD")), {}, NOW)
    assert error is not None
    assert (error.kind, error.code) == ("money_per_month", "over_budget")


def test_a_job_limit_says_how_long_to_wait() -> None:
    error = refusal(demands("key:1", BudgetLimits(jobs_in_flight=0), NOW, None), {}, NOW)
    assert isinstance(error, JobLimitError)
    assert error.facts == {"owner": "key", "unit": "jobs", "limit": 0, "used": 0, "needed": 1}
    assert error.wait_seconds == 10


@pytest.mark.parametrize(("amount", "shown"), [(10 * MILLION, 10), (360_000, 0.36), (1, 0.000001)])
def test_millionths_are_shown_as_amounts(amount: int, shown: float) -> None:
    assert whole(amount) == shown
    assert isinstance(whole(amount), int) is (amount % MILLION == 0)


JOB = Job("job_1", "acme", Status.SUBMITTING, NOW, NOW, submit_attempts=1)
HAD = replace(JOB, provider_job_id="video_1")
WATCHED = replace(HAD, status=Status.PROCESSING, missing_since=NOW - 11 * 60_000)
HAD_ONCE, _ = WATCHED.apply(Missing(), NOW)
"""Rendered and deleted, perhaps: the provider does not know it any more."""


@pytest.mark.parametrize(
    ("job", "free", "ending"),
    [
        (replace(HAD, status=Status.COMPLETED), True, BillOutcome.SPENT),
        (replace(HAD, status=Status.FAILED, code="moderation"), False, BillOutcome.SPENT),
        (replace(HAD, status=Status.FAILED, code="moderation"), True, BillOutcome.RELEASED),
        (replace(HAD, status=Status.FAILED, code="expired"), True, BillOutcome.SPENT),
        (HAD_ONCE, True, BillOutcome.SPENT),
        (
            replace(HAD, status=Status.CANCELED, code="canceled", stopped=True),
            True,
            BillOutcome.SPENT,
        ),
        (replace(JOB, status=Status.FAILED, code="invalid_request"), False, BillOutcome.RELEASED),
        (replace(JOB, status=Status.CANCELED, stopped=True), False, BillOutcome.RELEASED),
        (replace(JOB, status=Status.CANCELED, stopped=None), True, BillOutcome.SPENT),
        (replace(JOB, status=Status.FAILED, code=SUBMISSION_UNKNOWN), True, BillOutcome.UNRESOLVED),
        (
            replace(JOB, status=Status.FAILED, code=SUBMISSION_UNKNOWN, doubt_closed_at=NOW),
            False,
            BillOutcome.RELEASED,
        ),
    ],
)
def test_the_end_of_a_job_decides_about_its_money(
    job: Job, free: bool, ending: BillOutcome
) -> None:
    assert bill_of(job, failures_are_free=free).ending is ending


def test_a_failure_that_was_charged_is_spent_wherever_failures_are_free() -> None:
    failed = replace(HAD, status=Status.FAILED, code="moderation", charged_amount=0.1)
    bill = bill_of(replace(failed, charged_unit="USD"), failures_are_free=True)
    assert bill == Bill(BillOutcome.SPENT, Price(0.1, "USD"))
