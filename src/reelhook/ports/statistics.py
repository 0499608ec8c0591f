"""Numbers about jobs, deliveries and accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.event import Instant
from reelhook.domain.price import Price
from reelhook.domain.waiting import Waiting
from reelhook.domain.worker import WorkerLeases
from reelhook.ports.coordination import AccountRecord, AccountStatusReads, PauseStore


@dataclass(frozen=True, slots=True)
class RefusedJob:
    """A job that no provider has accepted yet, and the reason why it waits."""

    job_id: str
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class AccountLoad:
    """The numbers of an account's jobs that wait to be created, and that its provider may have.

    `refused` is the job whose create was refused last, of those that no provider has yet.
    """

    waiting: int = 0
    in_flight: int = 0
    refused: RefusedJob | None = None


@dataclass(frozen=True, slots=True)
class CostLine:
    """The costs of one day (days since 1970, UTC), project, model and unit. None: not reported.

    `estimated` is the sum for jobs that have neither a charge nor a quote, without those that
    failed. `rate` is the worth of one unit; None: not known.
    """

    day: int
    provider: str
    model: str
    unit: str | None
    jobs: int
    completed: int
    quoted: float | None
    charged: float | None
    estimated: float | None = None
    project: str = DEFAULT_PROJECT
    rate: Price | None = None


class StatisticsStore(Protocol):
    """Counts and sums. With a `project`, they are those of this project alone."""

    async def counts(self, project: str | None = None) -> dict[str, int]:
        """Return the number of jobs of each status."""
        ...

    async def deliveries_waiting(self, project: str | None = None) -> int:
        """Return the number of deliveries with something to send."""
        ...

    async def endpoint_counts(self, *, project: str | None = None) -> dict[str, int]:
        """Return the numbers of `failing` endpoints (only probes are sent) and `disabled` ones."""
        ...

    async def account_loads(self) -> dict[str, AccountLoad]:
        """Return the load of each account that has unfinished jobs."""
        ...

    async def costs(
        self, since: Instant, until: Instant, project: str | None = None
    ) -> list[CostLine]:
        """Return the costs of jobs created in this period, by day, project, model and unit."""
        ...

    async def last_round(self, account: str) -> Instant | None:
        """Return the time at which the account's last round ended."""
        ...

    async def account_records(self) -> dict[str, AccountRecord]:
        """Return the state of every account that has one, by the account's id."""
        ...


class OperationsStore(StatisticsStore, PauseStore, AccountStatusReads, Protocol):
    """Reads and writes for operators."""

    async def workers(self) -> Sequence[WorkerLeases]:
        """Return the workers with their leases, and the leases that nobody holds."""
        ...

    async def probe(self) -> None:
        """Write a row that no one reads. Raises `StoreError` or `CommitUnknownError`."""
        ...
