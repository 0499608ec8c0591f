"""The archive's health in one process: whether its disks and its store take files."""

from collections.abc import Callable

import structlog

from reelhook.domain.account_status import MESSAGE_INTERVAL_MILLISECONDS
from reelhook.domain.archive_pause import ArchivePause, PauseCause
from reelhook.domain.event import Instant
from reelhook.ports import Clock

log = structlog.get_logger()
FIRST_WAIT_MILLISECONDS = 2_000
LONGEST_WAIT_MILLISECONDS = 30_000
"""After a failure the store is tried again after the first wait, then after twice the last one."""
PROBE_MILLISECONDS = 2_000
"""The wait of a file while another one tries whether the store works again."""


class ArchiveHealth:
    """The pauses of the archive, which all accounts of a process share.

    `changed` is called whenever `pause` has changed. After a failure of the store one file at a
    time is put into it, until one succeeds.
    """

    def __init__(self, clock: Clock, changed: Callable[[], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._pauses: dict[PauseCause, ArchivePause] = {}
        self._said_at: dict[PauseCause, Instant] = {}
        self._failures = 0
        self._store_next_at: Instant = 0
        self._probing = False

    @property
    def pause(self) -> ArchivePause | None:
        """The present pause, that of a full disk first."""
        return next((self._pauses[cause] for cause in PauseCause if cause in self._pauses), None)

    def disk(self, shortage: str | None) -> None:
        """Record that too little of a disk is free; None: enough is free."""
        self._set(PauseCause.DISK_FULL, shortage)

    @property
    def disk_is_full(self) -> bool:
        """True while too little of a disk is free."""
        return PauseCause.DISK_FULL in self._pauses

    def store_retry_at(self) -> Instant | None:
        """Return the time at which a file may be put into the store; None: now."""
        now = self._clock.now()
        if not self._failures or (now >= self._store_next_at and not self._probing):
            return None
        return max(self._store_next_at, now + PROBE_MILLISECONDS)

    def store_tried(self) -> bool:
        """Record that a file is being put into the store. Return True if the store had failed."""
        self._probing = bool(self._failures)
        return self._probing

    def store_failed(self, reason: str) -> None:
        """Record that the store failed. Files that fail at the same time count once."""
        now = self._clock.now()
        self._probing = False
        if now >= self._store_next_at:
            wait = FIRST_WAIT_MILLISECONDS * 2 ** min(self._failures, 10)
            self._store_next_at = now + min(wait, LONGEST_WAIT_MILLISECONDS)
            self._failures += 1
        self._set(PauseCause.STORE_UNAVAILABLE, reason)

    def store_untried(self) -> None:
        """Record that a try ended, for a reason that is not the store's."""
        self._probing = False

    def store_took(self) -> None:
        """Record that the store took a file."""
        self._failures, self._probing = 0, False
        self._set(PauseCause.STORE_UNAVAILABLE, None)

    def _set(self, cause: PauseCause, message: str | None) -> None:
        before = self._pauses.pop(cause, None)
        if message is None:
            if before is not None:
                log.info("archive.resumed", cause=cause.value)
                self._changed()
            return
        now, said_at = self._clock.now(), self._said_at.get(cause)
        if said_at is not None and now - said_at < MESSAGE_INTERVAL_MILLISECONDS and before:
            self._pauses[cause] = before
            return
        pause = ArchivePause(before.since if before else now, cause, message)
        self._pauses[cause] = pause
        if said_at is None or now - said_at >= MESSAGE_INTERVAL_MILLISECONDS:
            self._said_at[cause] = now
            log.warning("archive.paused", cause=cause.value, reason=message)
        self._changed()
