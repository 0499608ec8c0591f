"""The status of an account, as the worker that leases it sees it."""

from dataclasses import dataclass, replace

from reelhook.domain.archive_pause import ArchivePause
from reelhook.domain.event import Instant
from reelhook.domain.waiting import Waiting

MESSAGE_INTERVAL_MILLISECONDS = 60_000
"""A message that changes with every response is stored and logged once in this time."""


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The status of an account that every process may read.

    `unauthorized` is the provider's message if it refuses the key. `stretched_milliseconds` is the
    last interval between two rounds, if it had to be longer than configured. `reads_wait_until`
    and `creates_wait_until` are the ends of long pauses that the provider asked for
    (`Retry-After`); they may have passed. `creates` and `reads` hold the provider's last refusal
    of all creates (429), or of reads, until one succeeds again. The two fields after them are the
    times since which the key is refused, and the intervals are longer; see `dated`. `archive` is
    the reason why the worker stores no finished files at present, and `files` the one why it can't
    fetch or keep the files of requests.
    """

    unauthorized: str | None = None
    stretched_milliseconds: int | None = None
    reads_wait_until: Instant | None = None
    creates_wait_until: Instant | None = None
    creates: Waiting | None = None
    reads: Waiting | None = None
    unauthorized_since: Instant | None = None
    stretched_since: Instant | None = None
    archive: ArchivePause | None = None
    files: Waiting | None = None

    def dated(self, before: "AccountStatus", now: Instant) -> "AccountStatus":
        """Return the status with the times at which its conditions began.

        `before` is the earlier status: a condition that lasts keeps its time.
        """
        refused, stretched = self.unauthorized, self.stretched_milliseconds
        return replace(
            self,
            unauthorized_since=None if refused is None else before.unauthorized_since or now,
            stretched_since=None if stretched is None else before.stretched_since or now,
        )

    def waiting(self, *, watched: bool) -> Waiting | None:
        """Return why jobs wait: those that the provider has (`watched`), or all others."""
        return self.reads if watched else self.creates


HEALTHY = AccountStatus()
