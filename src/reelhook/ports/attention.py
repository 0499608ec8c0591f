"""Port to what is held up: the facts from which causes are decided, at a bounded cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from reelhook.domain.archive import ArchivedFile
from reelhook.domain.budget import LimitKind
from reelhook.domain.causes.accounts import Leased
from reelhook.domain.causes.webhooks import HeldEndpoint, HeldWebhook
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.ports.budgets import BudgetState
from reelhook.ports.coordination import AccountRecord


class SlowWrites(NamedTuple):
    """Slow writes: the seconds since they began, and the seconds that the slowest took."""

    since_seconds: float
    longest_seconds: float


@dataclass(frozen=True, slots=True)
class SharedState:
    """The stored state that all jobs share. `leases` and `records` are by account."""

    paused_since: Instant | None = None
    leases: Mapping[str, Leased] = field(default_factory=dict)
    records: Mapping[str, AccountRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobsOfKind:
    """The jobs of one account that wait, are being created, or are watched.

    `jobs` are the oldest ones. `count` counts all, up to a limit; `more`: there are more than that.
    """

    account: str
    jobs: tuple[Job, ...]
    count: int
    more: bool


@dataclass(frozen=True, slots=True)
class HeldReceiver:
    """An endpoint to which webhooks wait, with one of them; `count` and `more` as for jobs."""

    receiver: HeldEndpoint
    webhooks: tuple[HeldWebhook, ...]
    count: int
    more: bool


@dataclass(frozen=True, slots=True)
class ExhaustedWebhooks:
    """Deliveries that failed at every attempt; `more`: there are others."""

    webhooks: Sequence[HeldWebhook]
    more: bool


@dataclass(frozen=True, slots=True)
class ReachedBudget:
    """A budget, with the times at which it refused jobs of this period, by limit and unit."""

    project: str
    state: BudgetState
    reached: Mapping[tuple[LimitKind, str], Instant] = field(default_factory=dict)


class AttentionStore(Protocol):
    """Reads what may be held up. With a `project`, only what belongs to it."""

    @property
    def slow_writes(self) -> SlowWrites | None:
        """The slow writes of this process; None if the last ones were fast."""
        ...

    async def shared_state(self) -> SharedState:
        """Return the pause, the leases and the status of all accounts."""
        ...

    async def accounts_full(self, limits: Mapping[str, int]) -> frozenset[str]:
        """Return the accounts that have as many jobs at their providers as `limits` allow."""
        ...

    async def unfinished_jobs(
        self, accounts: Sequence[str], project: str | None = None
    ) -> Sequence[JobsOfKind]:
        """Return the oldest unfinished jobs of these accounts."""
        ...

    async def jobs_unresolved(self, project: str | None = None) -> JobsOfKind:
        """Return the oldest jobs that ended in doubt, and that nobody has settled."""
        ...

    async def held_receivers(self, project: str | None = None) -> Sequence[HeldReceiver]:
        """Return endpoints that are disabled, or fail."""
        ...

    async def exhausted_webhooks(self, project: str | None = None) -> ExhaustedWebhooks:
        """Return the newest deliveries that failed at every attempt and were not sent again."""
        ...

    async def budgets_in_use(
        self, now: Instant, project: str | None = None
    ) -> Sequence[ReachedBudget]:
        """Return the budgets of projects and keys with their sums."""
        ...

    async def expiring_files(
        self, accounts: Sequence[str], before: Instant, project: str | None = None
    ) -> Sequence[ArchivedFile]:
        """Return files that wait to be archived and that providers delete before that time."""
        ...

    async def webhooks_of_jobs(self, job_ids: Sequence[str]) -> Mapping[str, Sequence[HeldWebhook]]:
        """Return the deliveries of these jobs that wait or have failed, by job."""
        ...

    async def files_of_jobs(self, job_ids: Sequence[str]) -> Mapping[str, ArchivedFile]:
        """Return the files of these jobs that wait to be archived, by job."""
        ...

    async def jobs_ahead(self, job: Job) -> int:
        """Return the number of accepted jobs of the same account that come before this one."""
        ...

    async def render_times(self, model: str, limit: int) -> Sequence[int]:
        """Return the milliseconds that the newest videos of a model took at their providers."""
        ...
