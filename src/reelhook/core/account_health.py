"""The health of an account, as the worker that holds its lease sees it."""

import asyncio
from dataclasses import replace
from typing import Any

from reelhook.domain.account_status import HEALTHY, MESSAGE_INTERVAL_MILLISECONDS
from reelhook.domain.archive_pause import ArchivePause
from reelhook.domain.event import Instant
from reelhook.domain.waiting import Waiting

READ_MILLISECONDS = 10_000
"""The time after a successful read during which a failed one says nothing about the provider."""


class AccountHealth:
    """The current status of one account. `changed` is set whenever the status changes."""

    def __init__(self) -> None:
        self.account_status = HEALTHY
        self.changed = asyncio.Event()
        self.read_again_at: Instant = 0
        """The time from which the provider may be read again, as it asked; 0: at any time."""
        self._creates_message_at: Instant = 0
        self._create_logged_at: Instant | None = None
        self._reads_message_at: Instant = 0
        self._read_at: Instant = 0

    def creates_refused(self, message: str, now: Instant) -> None:
        """Record that the provider refuses every create for now, with this message."""
        recent = now - self._creates_message_at < MESSAGE_INTERVAL_MILLISECONDS
        before = self.account_status.creates
        waiting = _limited(before, message, now, recent=recent)
        if waiting != before:
            self._creates_message_at = now
            self._update(creates=waiting)

    def create_failed(self, now: Instant) -> bool:
        """Return True if a failed create should be logged: at most once a minute."""
        last = self._create_logged_at
        if last is not None and now - last < MESSAGE_INTERVAL_MILLISECONDS:
            return False
        self._create_logged_at = now
        return True

    def creates_work(self) -> None:
        """Record that the provider accepts creates."""
        self._update(creates=None)

    def reads_failed(self, message: str, now: Instant) -> bool:
        """Record a failed read. Return True if it should be logged: at most once a minute.

        Nothing is recorded while other reads of the account succeed.
        """
        if now - self._read_at < READ_MILLISECONDS:
            return False
        recent = now - self._reads_message_at < MESSAGE_INTERVAL_MILLISECONDS
        before = self.account_status.reads
        waiting = _limited(before, message, now, recent=recent)
        if waiting == before:
            return False
        self._reads_message_at = now
        self._update(reads=waiting)
        return not recent

    def reads_work(self, now: Instant) -> None:
        """Record a successful read."""
        self._read_at = now
        self._update(reads=None)

    @property
    def unauthorized(self) -> str | None:
        """The provider's message while it refuses the key."""
        return self.account_status.unauthorized

    @unauthorized.setter
    def unauthorized(self, message: str | None) -> None:
        self._update(unauthorized=message)

    @property
    def stretched_seconds(self) -> float | None:
        """The last interval between two rounds, if it was longer than the configured one."""
        milliseconds = self.account_status.stretched_milliseconds
        return None if milliseconds is None else milliseconds / 1000

    @stretched_seconds.setter
    def stretched_seconds(self, seconds: float | None) -> None:
        milliseconds = None if seconds is None else round(seconds * 1000)
        self._update(stretched_milliseconds=milliseconds)

    @property
    def reads_wait_until(self) -> Instant | None:
        """The end of a long pause of reads that the provider asked for."""
        return self.account_status.reads_wait_until

    @reads_wait_until.setter
    def reads_wait_until(self, until: Instant | None) -> None:
        self._update(reads_wait_until=until)

    @property
    def creates_wait_until(self) -> Instant | None:
        """The end of a long pause of creates that the provider asked for."""
        return self.account_status.creates_wait_until

    @creates_wait_until.setter
    def creates_wait_until(self, until: Instant | None) -> None:
        self._update(creates_wait_until=until)

    @property
    def archive(self) -> ArchivePause | None:
        """The reason why this worker stores no finished files at present."""
        return self.account_status.archive

    @archive.setter
    def archive(self, pause: ArchivePause | None) -> None:
        self._update(archive=pause)

    def files_refused(self, message: str, now: Instant) -> None:
        """Record that this machine can't fetch or keep the files of requests."""
        before = self.account_status.files
        if before is None or before.last_response != message:
            self._update(files=Waiting(now if before is None else before.since, message))

    def files_work(self) -> None:
        """Record that files of requests can be kept, or that none are wanted."""
        self._update(files=None)

    def _update(self, **changes: Any) -> None:
        after = replace(self.account_status, **changes)
        if after != self.account_status:
            self.account_status = after
            self.changed.set()


def _limited(before: Waiting | None, message: str, now: Instant, *, recent: bool) -> Waiting:
    """Return the reason with the new message, or unchanged if its message is `recent`."""
    if before is None:
        return Waiting(now, message)
    return before if recent else Waiting(before.since, message)
