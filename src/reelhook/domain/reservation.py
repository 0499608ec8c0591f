"""A job's reservation in a budget, and what becomes of it when the job ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from reelhook.domain.budget import JOBS, NOW, BudgetLimits, SumKey, counted, month_of
from reelhook.domain.job import SUBMISSION_UNKNOWN, Job, Status
from reelhook.domain.money import Money
from reelhook.domain.price import Price

_FAILED_THERE = frozenset({"moderation", "quota", "invalid_request", "provider_error"})
"""The codes of failures that a provider reports. Others, such as `expired`, may be ours."""


class BillOutcome(Enum):
    """The meaning of a job's end for its money."""

    SPENT = "spent"
    """The provider has charged for it, or may have."""
    RELEASED = "released"
    """It was definitely not accepted, or its failure is known to be free."""
    UNRESOLVED = "unresolved"
    """It is not known whether a provider has accepted it, and a person may still find out."""


@dataclass(frozen=True, slots=True)
class Bill:
    """The end of a job in money. `charge` is the provider's; None: it reported none.

    `estimate` is that of the model that the job had last; None: it is not known.
    """

    ending: BillOutcome
    charge: Price | None = None
    estimate: Price | None = None


def bill_of(job: Job, *, failures_are_free: bool = False) -> Bill:
    """Return the bill of a job that has ended, with the charge as the provider reported it."""
    charge = charge_of(job)
    return Bill(_outcome(job, charge, failures_are_free), charge, estimate_of(job))


def _outcome(job: Job, charge: Price | None, failures_are_free: bool) -> BillOutcome:
    if job.provider_job_id is None:
        return _never_accepted(job)
    if job.status is Status.COMPLETED or charge is not None:
        return BillOutcome.SPENT
    # A job that the provider does not know any more may have been rendered before.
    reported = job.status is Status.FAILED and job.code in _FAILED_THERE and not job.missing_since
    return BillOutcome.RELEASED if failures_are_free and reported else BillOutcome.SPENT


def _never_accepted(job: Job) -> BillOutcome:
    if job.code == SUBMISSION_UNKNOWN:
        return BillOutcome.UNRESOLVED if job.doubt_closed_at is None else BillOutcome.RELEASED
    if job.accepted_at is not None:
        return BillOutcome.SPENT  # under the id of another job, which may have reserved nothing
    # A forced cancel may meet a create in flight. Nobody can adopt its video later.
    in_flight = job.status is Status.CANCELED and job.stopped is not True
    return BillOutcome.SPENT if in_flight else BillOutcome.RELEASED


def spent_by(bill: Bill, limits: BudgetLimits) -> Money | None:
    """Return what a bill spends of these limits: the charge, or else the estimate.

    None: neither is known to the limits.
    """
    charged = counted(limits, bill.charge)
    return counted(limits, bill.estimate) if charged is None else charged


def charge_of(job: Job) -> Price | None:
    """Return the charge that the provider reported; None: it reported none."""
    return _price(job.charged_amount, job.charged_unit)


def estimate_of(job: Job) -> Price | None:
    """Return the estimated price of a job; None: it is not known."""
    return _price(job.estimated_amount, job.estimated_unit)


def _price(amount: float | None, unit: str | None) -> Price | None:
    return None if amount is None or unit is None else Price(amount, unit)


@dataclass(frozen=True, slots=True)
class SumChange:
    """A change of one sum."""

    key: SumKey
    reserved: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """The amount that a job has reserved in an owner's budget, on the day of its acceptance.

    `money` None: its price is not known, and no money is limited. `in_flight`: it counts as a job
    in flight. A job that ended unresolved keeps its money, and is not in flight any more.
    """

    owner: str
    day: str
    money: Money | None
    in_flight: bool = True

    def held(self) -> Iterator[SumChange]:
        """Yield what it adds to the sums while it lasts."""
        if self.in_flight:
            yield SumChange(SumKey(self.owner, NOW, JOBS), reserved=1)
        if self.money is not None:
            for period in (self.day, month_of(self.day)):
                key = SumKey(self.owner, period, self.money.unit)
                yield SumChange(key, reserved=self.money.amount)

    def settled(self, bill: Bill, limits: BudgetLimits) -> Iterator[SumChange]:
        """Yield the changes of sums with which it ends by this bill.

        Without a charge, the job's last estimate is spent: it may have been given to another model.
        A price that is unknown to the limits counts as the reserved amount.
        """
        if self.in_flight:
            yield SumChange(SumKey(self.owner, NOW, JOBS), reserved=-1)
        match bill.ending:
            case BillOutcome.UNRESOLVED:
                return
            case BillOutcome.RELEASED | BillOutcome.SPENT:
                yield from self._moved(self.spent(bill, limits))
            case _:
                assert_never(bill.ending)

    def spent(self, bill: Bill, limits: BudgetLimits) -> Money | None:
        """Return what is spent when it ends by this bill."""
        if bill.ending is not BillOutcome.SPENT:
            return None
        return spent_by(bill, limits) or self.money

    def _moved(self, spent: Money | None) -> Iterator[SumChange]:
        for period in (self.day, month_of(self.day)):
            if self.money is not None:
                key = SumKey(self.owner, period, self.money.unit)
                yield SumChange(key, reserved=-self.money.amount)
            if spent is not None:
                yield SumChange(SumKey(self.owner, period, spent.unit), spent=spent.amount)
