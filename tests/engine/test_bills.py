"""The bill of a job that has ended: charges in a currency, failures that are free."""

from dataclasses import replace
from typing import Any

import pytest

from reelhook.core.billing import Billing
from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.job import Job, Status
from reelhook.domain.price import Price
from reelhook.domain.reservation import Bill, BillOutcome
from reelhook.ports import Capabilities


class Free:
    """A provider whose failures are free, as far as a bill needs one."""

    traits = Capabilities(failures_are_free=True)


RATES = {"credits": Price(0.01, "USD")}
CATALOG = Catalog([Account("runway", "runway", rates=RATES)], {}, {})
JOB = Job("job_1", "runway", Status.COMPLETED, 0, 0, provider_job_id="v", provider="runway")


def bill(job: Job, providers: dict[str, Any]) -> Bill:
    return Billing(providers, CATALOG).bill(job)


def test_a_charge_in_a_provider_s_unit_is_billed_in_the_currency_of_its_rate() -> None:
    charged = replace(JOB, charged_amount=25.0, charged_unit="credits")
    assert bill(charged, {}) == Bill(BillOutcome.SPENT, Price(0.25, "USD"))


def test_a_charge_without_a_rate_stays_in_its_unit() -> None:
    charged = replace(JOB, charged_amount=25.0, charged_unit="tokens")
    assert bill(charged, {}) == Bill(BillOutcome.SPENT, Price(25.0, "tokens"))


@pytest.mark.parametrize(
    ("providers", "ending"), [({"runway": Free()}, BillOutcome.RELEASED), ({}, BillOutcome.SPENT)]
)
def test_a_failure_is_free_if_its_provider_says_so(
    providers: dict[str, Any], ending: BillOutcome
) -> None:
    failed = replace(JOB, status=Status.FAILED, code="moderation")
    assert bill(failed, providers) == Bill(ending)
