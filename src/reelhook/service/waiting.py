"""What jobs wait for, in their providers' words."""

from collections.abc import Sequence

from reelhook.domain.account_status import AccountStatus
from reelhook.domain.event import Instant
from reelhook.domain.job import Job, Status
from reelhook.domain.waiting import Waiting
from reelhook.ports import AccountStatusReads, Clock

KEPT_MILLISECONDS = 1000
"""How old an account's words may be: many clients ask how their jobs are."""
_ITS_CREATE = frozenset({Status.ACCEPTED, Status.SUBMITTING})


class WaitingReasons:
    """Tells what jobs wait for: what was said to them, else to all jobs of their account."""

    def __init__(self, store: AccountStatusReads, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._account_status: dict[str, tuple[Instant, AccountStatus]] = {}

    async def of(self, job: Job) -> Waiting | None:
        """Return what one job waits for. Raises `StoreError`."""
        return (await self.all_of([job])).get(job.id)

    async def all_of(self, jobs: Sequence[Job]) -> dict[str, Waiting]:
        """Return what these jobs wait for, by their ids, where there is anything to tell.

        Raises `StoreError`.
        """
        told: dict[str, Waiting] = {}
        for job in jobs:
            waiting = job.waiting or await self._with_its_account(job)
            if waiting is not None:
                told[job.id] = waiting
        return told

    async def _with_its_account(self, job: Job) -> Waiting | None:
        if job.status.terminal or job.doubt_since is not None:
            return None
        said = (await self._of_account(job.account)).waiting(watched=job.status.watched)
        if said is None or job.status not in _ITS_CREATE:
            return said
        return Waiting(max(said.since, job.created_at), said.last_response, job.submit_attempts)

    async def _of_account(self, account: str) -> AccountStatus:
        now = self._clock.now()
        read_at, account_status = self._account_status.get(account, (0, AccountStatus()))
        if not 0 <= now - read_at < KEPT_MILLISECONDS:
            account_status = await self._store.account_status(account)
            self._account_status[account] = (now, account_status)
        return account_status
