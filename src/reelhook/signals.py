"""How the parts of one process wake each other, and what they tell each other in passing.

Nothing here is the truth: the store is. A lost signal costs a poll's delay, never a job.
"""

import asyncio
from dataclasses import dataclass, field


class Broadcast:
    """Wakes everyone who waits at this moment."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake all who wait now."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    @property
    def next(self) -> asyncio.Event:
        """The event that the next `notify` sets."""
        return self._event


@dataclass(slots=True)
class AccountHealth:
    """Whether the provider accepts the account's key; its words when it does not."""

    unauthorized: str | None = None


@dataclass(slots=True)
class Signals:
    """One event for each loop, a broadcast for readers, and the watcher's switch."""

    submit: asyncio.Event = field(default_factory=asyncio.Event)
    resolve: asyncio.Event = field(default_factory=asyncio.Event)
    watch: asyncio.Event = field(default_factory=asyncio.Event)
    deliver: asyncio.Event = field(default_factory=asyncio.Event)
    sweep: asyncio.Event = field(default_factory=asyncio.Event)
    changed: Broadcast = field(default_factory=Broadcast)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    resend: asyncio.Event = field(default_factory=asyncio.Event)
    watching_paused: bool = False
    endpoints_version: int = 0
    """Counts the changes that were made to endpoints."""
    health: dict[str, AccountHealth] = field(default_factory=dict)

    def account(self, account: str) -> AccountHealth:
        """Return the account's health, to read or to change."""
        return self.health.setdefault(account, AccountHealth())

    def endpoints_changed(self) -> None:
        """Tell that an endpoint is another than it was: nothing is sent by what was read before."""
        self.endpoints_version += 1
        self.deliver.set()
