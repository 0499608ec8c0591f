"""Makes the bills of jobs that have ended, from the facts of their accounts."""

from collections.abc import Mapping
from dataclasses import replace

from reelhook.domain.catalog import Catalog
from reelhook.domain.job import Job
from reelhook.domain.reservation import Bill, bill_of
from reelhook.ports import Provider


class Billing:
    """The bills of the jobs of all accounts."""

    def __init__(self, providers: Mapping[str, Provider], catalog: Catalog) -> None:
        self._providers = providers
        self._catalog = catalog

    def bill(self, job: Job) -> Bill:
        """Return the bill of a job that has ended, in a currency if a rate is known.

        Pure: the store may call it again, in another thread.
        """
        provider = self._providers.get(job.account)
        free = provider is not None and provider.traits.failures_are_free
        bill = bill_of(job, failures_are_free=free)
        if bill.charge is None:
            return bill
        return replace(bill, charge=self._catalog.in_currency(bill.charge, job.account, job.model))
