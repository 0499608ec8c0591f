"""The reasons why jobs wait, in their providers' words."""

from collections.abc import Sequence

from reelhook.domain.account_status import AccountStatus
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.waiting import Waiting
from reelhook.ports import AccountStatusReads, Clock

CACHE_MILLISECONDS = 1000
"""The time for which an account's status is reused: many clients poll the status of their jobs."""
_BEFORE_CREATE = frozenset({Status.ACCEPTED, Status.SUBMITTING})


class WaitingReasons:
    """The reasons: the provider's last response to a job, or else to all jobs of its account."""

    def __init__(self, store: AccountStatusReads, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cache: dict[str, tuple[Instant, AccountStatus]] = {}

    async def of(self, caller: Caller, job: Job) -> Waiting | None:
        """Return the reason why one job waits, or None. Raises `StoreError`."""
        return (await self.all_of(caller, [job])).get(job.id)

    async def all_of(self, caller: Caller, jobs: Sequence[Job]) -> dict[str, Waiting]:
        """Return the reasons, by the ids of the jobs that have one. Raises `StoreError`.

        A response to all jobs of an account is for the operator alone.
        """
        caller.require(Scope.READ)
        reasons: dict[str, Waiting] = {}
        for job in jobs:
            if not caller.may_see(job.project):
                continue
            reason = job.waiting
            if reason is None and caller.allows(Scope.OPERATOR):
                reason = await self._reason_of_account(job)
            if reason is not None:
                reasons[job.id] = reason
        return reasons

    async def _reason_of_account(self, job: Job) -> Waiting | None:
        if job.status.terminal or job.doubt_since is not None:
            return None
        reason = (await self._status(job.account)).waiting(watched=job.status.watched)
        if reason is None or job.status not in _BEFORE_CREATE:
            return reason
        return Waiting(max(reason.since, job.created_at), reason.last_response, job.submit_attempts)

    async def _status(self, account: str) -> AccountStatus:
        now = self._clock.now()
        read_at, status = self._cache.get(account, (0, AccountStatus()))
        if not 0 <= now - read_at < CACHE_MILLISECONDS:
            status = await self._store.account_status(account)
            self._cache[account] = (now, status)
        return status
