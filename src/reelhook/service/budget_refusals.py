"""Reports that a budget has refused a job: endpoints that ask for it get one event per period."""

from contextlib import suppress

from reelhook.core.wakeups import Signals
from reelhook.domain.budget import SumKey
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.domain.event import Instant
from reelhook.domain.over_budget import OverBudgetError
from reelhook.ports import RefusalReports

REMEMBERED_MAX = 10_000


class BudgetRefusals:
    """The refusals of one process. A refusal that is known costs no write."""

    def __init__(self, store: RefusalReports, signals: Signals) -> None:
        self._store = store
        self._signals = signals
        self._reported: set[SumKey] = set()

    async def report(self, error: OverBudgetError, now: Instant) -> None:
        """Store the event that reports a refusal, unless its period has one. Never raises."""
        key = error.demand.key
        if key in self._reported:
            return
        if len(self._reported) >= REMEMBERED_MAX:
            self._reported.clear()
        with suppress(*DATABASE_FAILURES):  # the next refusal tries it again
            if await self._store.report_reached(error.demand, error.used, now):
                self._signals.notify.publish()
            self._reported.add(key)
