"""Events of no job: what a project's endpoints may be notified of besides its jobs."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reelhook.domain.budget import WARNING_PERCENT, Demand, LimitKind, SumKey
from reelhook.domain.endpoint import EventName
from reelhook.domain.event import Instant

ID_DIGEST_BYTES = 12


@dataclass(frozen=True, slots=True)
class BudgetNotice:
    """A budget was nearly used up (`BUDGET_WARNING`), or left no room (`BUDGET_REACHED`).

    `limit` and `used` are millionths of the key's unit, or numbers of jobs.
    """

    name: EventName
    key: SumKey
    kind: LimitKind
    limit: int
    used: int
    occurred_at: Instant

    @property
    def id(self) -> str:
        """The `webhook-id`: there is one notice of each name for a limit in a period."""
        content = repr((self.name.value, *self.key, self.kind.value)).encode()
        digest = hashlib.blake2b(content, digest_size=ID_DIGEST_BYTES).hexdigest()
        return f"evt_budget_{digest}"


def notices_of(
    demand: Demand, used: int, reported: Mapping[EventName, Instant | None], now: Instant
) -> Iterator[BudgetNotice]:
    """Yield the notices that a sum, which is now `used`, is worth and that were not made before.

    Jobs in flight have no period, so nothing is reported of them.
    """
    if demand.most is None or demand.kind is LimitKind.JOBS_IN_FLIGHT:
        return
    for name, percent in (
        (EventName.BUDGET_WARNING, WARNING_PERCENT),
        (EventName.BUDGET_REACHED, 100),
    ):
        if reported.get(name) is None and used * 100 >= demand.most * percent:
            yield BudgetNotice(name, demand.key, demand.kind, demand.most, used, now)
