"""The signals with which the parts of the program wake each other.

A signal carries no data: the store is authoritative. A lost signal costs the delay of one poll,
never a job.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from math import inf
from weakref import WeakSet

from reelhook.core.followers import Broadcast

Publish = Callable[[str], None]
"""Passes the name of a signal to the other processes of this database."""


class Signal(asyncio.Event):
    """Wakes one loop, and the loops that wait for a fork of it.

    `set` wakes only this process, `publish` all of them. Each account's loops have their own forks:
    the first loop to wake would clear a shared event.
    """

    def __init__(self, name: str, publish: Publish) -> None:
        super().__init__()
        self.name = name
        self._publish = publish
        self._forks: WeakSet[Signal] = WeakSet()

    def fork(self) -> "Signal":
        """Return a signal that is set whenever this one is."""
        fork = Signal(self.name, self._publish)
        if self.is_set():
            fork.set()
        self._forks.add(fork)
        return fork

    def set(self) -> None:
        """Wake the loops of this process."""
        super().set()
        for fork in self._forks:
            fork.set()

    def publish(self) -> None:
        """Wake the loop in every process."""
        self.set()
        self._publish(self.name)


class ChangeSignal(Signal):
    """Wakes the loop of another signal too, and counts: each `set` makes a new `version`."""

    def __init__(self, name: str, publish: Publish, also: Signal) -> None:
        super().__init__(name, publish)
        self._also = also
        self.version = 0

    def set(self) -> None:
        """Outdate everything that was read before, and wake the loops of this process."""
        self.version += 1
        super().set()
        self._also.set()


def _publish_nowhere(_name: str) -> None:
    """Do nothing: the `Publish` of a program without other processes."""


class WebhookTraffic:
    """The moment at which webhooks last had work to do, from the commit of an event on.

    Work that can wait, such as a probe, is done between the moments at which they have.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._noted_at = -inf

    def note(self) -> None:
        """Note that an event is being recorded, or that its webhook begins or has ended."""
        self._noted_at = self._now()

    @property
    def quiet_seconds(self) -> float:
        """The seconds since then."""
        return self._now() - self._noted_at


class Signals:
    """One signal for each loop, and one broadcast for readers.

    Processes send each other the names of signals, also between different releases.
    """

    def __init__(self, publish: Publish = _publish_nowhere) -> None:
        self._publish = publish
        self.submit = Signal("submit", publish)
        self.resolve = Signal("resolve", publish)
        self.watch = Signal("watch", publish)
        self.deliver = Signal("deliver", publish)
        self.webhook_traffic = WebhookTraffic()
        self.endpoints = ChangeSignal("endpoints", publish, self.deliver)
        """Published after each change of an endpoint, before anything more is sent."""
        self.sweep = Signal("sweep", publish)
        self.resend = Signal("resend", publish)
        self.notify = Signal("notify", publish)
        self.retention = Signal("retention", publish)
        self.archive = Signal("archive", publish)
        self.posters = Signal("posters", publish)
        self.removals = Signal("removals", publish)
        self.closed_projects = Signal("closed_projects", publish)
        self.pause = Signal("switch", publish)
        self.leases = Signal("leases", publish)
        self.clock_repair = Signal("clock_repair", _publish_nowhere)
        """Each process repairs by its own clock, so this one is never published."""
        self.changed = Broadcast()
        published = (
            *(self.submit, self.resolve, self.watch, self.deliver, self.endpoints, self.sweep),
            *(
                self.resend,
                self.notify,
                self.retention,
                self.archive,
                self.posters,
                self.removals,
                self.closed_projects,
                self.pause,
                self.leases,
            ),
        )
        self._received: dict[str, Callable[[], None]] = {
            **{signal.name: signal.set for signal in published},
            "changed": self._jobs_changed_elsewhere,
        }

    def jobs_changed(self, job_ids: Collection[str]) -> None:
        """Wake everyone who follows these jobs, in every process."""
        self.changed.notify(job_ids)
        self._publish("changed")

    def receive(self, names: Iterable[str]) -> None:
        """Set the signals that another process has published. A newer release may have more."""
        for name in names:
            if (received := self._received.get(name)) is not None:
                received()

    def _jobs_changed_elsewhere(self) -> None:
        self.changed.notify()
        self.changed.elsewhere.set()
