"""How the parts of the program wake each other, and what they tell each other in passing.

Nothing here is the truth: the store is. A lost signal costs a poll's delay, never a job.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from weakref import WeakSet

from reelhook.domain.account_status import HEALTHY, WORDS_MILLISECONDS, AccountStatus
from reelhook.domain.event import Instant
from reelhook.domain.waiting import Waiting

Tell = Callable[[str], None]
"""Passes a signal's name on to the other processes of this database."""


class Signal(asyncio.Event):
    """Wakes one loop, or those that have a fork of it. `set` is for this process, `tell` for all.

    Each account has loops of its own: an event that they shared would be cleared by the first.
    """

    def __init__(self, name: str, tell: Tell) -> None:
        super().__init__()
        self._name = name
        self._tell = tell
        self._forks: WeakSet[Signal] = WeakSet()

    def fork(self) -> "Signal":
        """Return a signal that is set whenever this one is."""
        fork = Signal(self._name, self._tell)
        if self.is_set():
            fork.set()
        self._forks.add(fork)
        return fork

    def set(self) -> None:
        """Wake the loops of this process."""
        super().set()
        for fork in self._forks:
            fork.set()

    def tell(self) -> None:
        """Wake the loop wherever it turns."""
        self.set()
        self._tell(self._name)


class Follower:
    """Who follows some jobs. `changed` is set when one of them changed, or may have."""

    def __init__(self, job_ids: Collection[str]) -> None:
        self._job_ids = frozenset(job_ids)
        self._due = set(self._job_ids)
        self.changed = asyncio.Event()

    def wake(self, job_ids: Iterable[str] | None = None) -> None:
        """Tell that these of its jobs changed; None: any may have."""
        self._due.update(self._job_ids if job_ids is None else job_ids)
        self.changed.set()

    def take(self) -> list[str]:
        """Return the jobs to look at: all of them at first, then those that changed since."""
        self.changed.clear()
        due, self._due = self._due, set()
        return sorted(due)


class Broadcast:
    """Wakes everyone who waits at this moment, and whoever follows the jobs that changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._followers: dict[str, set[Follower]] = {}
        self.elsewhere = asyncio.Event()
        """Set when jobs may have changed in another process, which does not tell which."""

    @contextlib.contextmanager
    def follow(self, job_ids: Collection[str]) -> Iterator[Follower]:
        """Follow these jobs until the block ends."""
        follower = Follower(job_ids)
        for job_id in job_ids:
            self._followers.setdefault(job_id, set()).add(follower)
        try:
            yield follower
        finally:
            for job_id in job_ids:
                self._followers[job_id].discard(follower)
                if not self._followers[job_id]:
                    del self._followers[job_id]

    def notify(self, job_ids: Iterable[str] = ()) -> None:
        """Wake all who wait now, in this process, and those who follow these jobs."""
        event, self._event = self._event, asyncio.Event()
        event.set()
        self.wake(job_ids)

    def wake(self, job_ids: Iterable[str]) -> None:
        """Wake those who follow these jobs."""
        for job_id in job_ids:
            for follower in self._followers.get(job_id, ()):
                follower.wake((job_id,))

    def wake_all(self) -> None:
        """Wake whoever follows any job: each looks at all of its own."""
        for follower in {one for each in self._followers.values() for one in each}:
            follower.wake()

    @property
    def next(self) -> asyncio.Event:
        """The event that the next `notify` sets."""
        return self._event


READ_MILLISECONDS = 10_000
"""How long after a read that worked one that fails says nothing of the provider as a whole."""


class AccountHealth:
    """How an account fares with the worker that holds it. `changed` is set when that changes."""

    def __init__(self) -> None:
        self.account_status = HEALTHY
        self.changed = asyncio.Event()
        self.read_again_at: Instant = 0
        """When the provider may be read again, as it asked; 0: at any time."""
        self._creates_worded_at: Instant = 0
        self._reads_worded_at: Instant = 0
        self._read_at: Instant = 0

    def creates_refused(self, words: str, now: Instant) -> None:
        """The provider refuses every create for now, with these words."""
        young = now - self._creates_worded_at < WORDS_MILLISECONDS
        if (
            waiting := _reworded(self.account_status.creates, words, now, young)
        ) != self.account_status.creates:
            self._creates_worded_at = now
            self._change(replace(self.account_status, creates=waiting))

    def creates_work(self) -> None:
        """The provider takes creates."""
        if self.account_status.creates is not None:
            self._change(replace(self.account_status, creates=None))

    def reads_failed(self, words: str, now: Instant) -> bool:
        """The provider can't be read; return whether to log that, once a minute at most.

        Where others of its reads have just worked this is no more than a read that failed.
        """
        if now - self._read_at < READ_MILLISECONDS:
            return False
        young = now - self._reads_worded_at < WORDS_MILLISECONDS
        if (
            waiting := _reworded(self.account_status.reads, words, now, young)
        ) == self.account_status.reads:
            return False
        self._reads_worded_at = now
        self._change(replace(self.account_status, reads=waiting))
        return not young

    def reads_work(self, now: Instant) -> None:
        """The provider can be read."""
        self._read_at = now
        if self.account_status.reads is not None:
            self._change(replace(self.account_status, reads=None))

    @property
    def unauthorized(self) -> str | None:
        """The provider's words when it refuses the key."""
        return self.account_status.unauthorized

    @unauthorized.setter
    def unauthorized(self, words: str | None) -> None:
        if words != self.account_status.unauthorized:
            self._change(replace(self.account_status, unauthorized=words))

    @property
    def stretched_seconds(self) -> float | None:
        """How long the last interval between two rounds was, where it was longer than asked for."""
        milliseconds = self.account_status.stretched_milliseconds
        return None if milliseconds is None else milliseconds / 1000

    @stretched_seconds.setter
    def stretched_seconds(self, seconds: float | None) -> None:
        milliseconds = None if seconds is None else round(seconds * 1000)
        if milliseconds != self.account_status.stretched_milliseconds:
            self._change(replace(self.account_status, stretched_milliseconds=milliseconds))

    @property
    def reads_wait_until(self) -> Instant | None:
        """Until when reads wait for long, as the provider asked."""
        return self.account_status.reads_wait_until

    @reads_wait_until.setter
    def reads_wait_until(self, until: Instant | None) -> None:
        if until != self.account_status.reads_wait_until:
            self._change(replace(self.account_status, reads_wait_until=until))

    @property
    def creates_wait_until(self) -> Instant | None:
        """Until when creates wait for long, as the provider asked."""
        return self.account_status.creates_wait_until

    @creates_wait_until.setter
    def creates_wait_until(self, until: Instant | None) -> None:
        if until != self.account_status.creates_wait_until:
            self._change(replace(self.account_status, creates_wait_until=until))

    def _change(self, account_status: AccountStatus) -> None:
        self.account_status = account_status
        self.changed.set()


def _reworded(before: Waiting | None, words: str, now: Instant, young: bool) -> Waiting:
    """Return the new words; those before where they are the same, or `young`."""
    if before is None:
        return Waiting(now, words)
    return before if young else Waiting(before.since, words)


def _to_nobody(_name: str) -> None:
    """There are no other processes."""


class Signals:
    """One signal for each loop, a broadcast for readers, and what loops tell each other."""

    def __init__(self, tell: Tell = _to_nobody) -> None:
        self._tell = tell
        self.submit = Signal("submit", tell)
        self.resolve = Signal("resolve", tell)
        self.watch = Signal("watch", tell)
        self.deliver = Signal("deliver", tell)
        self.sweep = Signal("sweep", tell)
        self.resend = Signal("resend", tell)
        self.retention = Signal("retention", tell)
        self.switch = Signal("switch", tell)
        self.mending = Signal("mending", lambda _: None)
        self.leases = Signal("leases", tell)
        self.changed = Broadcast()
        self.stopping = asyncio.Event()
        self.watching_paused = False
        """As the store had it when it was last asked."""
        self.endpoints_version = 0
        """Counts the changes that were made to endpoints."""
        self.health: dict[str, AccountHealth] = {}

    def account(self, account: str) -> AccountHealth:
        """Return the account's health, to read or to change."""
        return self.health.setdefault(account, AccountHealth())

    def account_taken(self, account: str) -> AccountHealth:
        """Forget what was known of an account that another worker may have had meanwhile."""
        health = self.account(account)
        health.unauthorized = None
        health.reads_wait_until = health.creates_wait_until = None
        health.creates_work()
        health.reads_work(0)
        health.read_again_at = 0
        return health

    def jobs_changed(self, job_ids: Collection[str]) -> None:
        """Tell whoever follows these jobs."""
        self.changed.notify(job_ids)
        self._tell("changed")

    def endpoints_changed(self) -> None:
        """Tell that an endpoint is another than it was: nothing is sent by what was read before."""
        self._endpoints_changed()
        self._tell("endpoints")

    def _endpoints_changed(self) -> None:
        self.endpoints_version += 1
        self.deliver.set()

    def hear(self, names: Iterable[str]) -> None:
        """Take what another process told."""
        for name in names:
            if name == "changed":
                self.changed.notify()
                self.changed.elsewhere.set()
            elif name == "endpoints":
                self._endpoints_changed()
            elif isinstance(signal := getattr(self, name, None), Signal):
                signal.set()
