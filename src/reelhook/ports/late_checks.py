"""Port for looking at ended jobs once more."""

from typing import Protocol

from reelhook.domain.event import Instant
from reelhook.domain.late_check import LateCheck
from reelhook.ports.leases import Lease


class LateCheckStore(Protocol):
    """Reads and changes the late checks of an account."""

    async def late_checks(self, account: str, now: Instant, limit: int) -> list[LateCheck]:
        """Return an account's checks that are due, the longest due first."""
        ...

    async def record_late_check(
        self, check: LateCheck, due_at: Instant | None, lease: Lease | None, *, learnt: bool = True
    ) -> None:
        """Store the time of a job's next check; None: it is looked at no more.

        `learnt` False: the check learnt nothing, so it does not count. Nothing is written if the
        lease was lost.
        """
        ...
