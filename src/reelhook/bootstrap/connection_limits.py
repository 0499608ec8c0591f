"""Limits of all connections together: their number, their deadlines, the memory of request heads.

All deadlines are checked twice a second, which is cheaper than a timer for each request.
"""

import math
from typing import Protocol

from reelhook.doors.clients import RefusedClients
from reelhook.doors.limits import MIB, Limits, Refusals

HEADS_BYTES_MAX = 16 * MIB
"""The limit for all unfinished heads. Above it, heads over `HEAD_BYTES_FREE` are refused."""
HEAD_BYTES_FREE = 8 * 1024
LINGERING_MAX = 64
"""The most refused connections that stay open so that their clients can read the reason.

An eighth of all connections if that is less, but at least 8: they use the engine's descriptors.
"""


class Timed(Protocol):
    """A connection with deadlines."""

    deadline: float
    """The time by which the client must have sent more, on the loop's clock; infinite for none."""
    stalled_at: float
    """The time at which a client that reads nothing is cut off; infinite while it reads."""

    def expire(self) -> None:
        """End a request that took too long to arrive."""
        ...

    def give_up(self) -> None:
        """End a response that its client does not read."""
        ...


class ConnectionLimits:
    """Counts connections and enforces their deadlines."""

    def __init__(self, limits: Limits, connections_max: int) -> None:
        self.limits = limits
        self.connections_max = connections_max
        self.refusals = Refusals()
        self.clients = RefusedClients()
        self.heads_bytes = 0
        self.lingering = 0
        self._lingering_max = min(LINGERING_MAX, max(8, connections_max // 8))
        self._admitted: set[Timed] = set()
        self._all: set[Timed] = set()

    def admit(self, connection: Timed) -> bool:
        """Return True if one more connection is allowed. Refused ones have deadlines too."""
        self._all.add(connection)
        if len(self._admitted) >= self.connections_max:
            return False
        self._admitted.add(connection)
        return True

    def may_linger(self) -> bool:
        """Return True if one more refused connection may stay open briefly."""
        return self.lingering < self._lingering_max

    def leave(self, connection: Timed) -> None:
        """Forget a connection that is closed."""
        self._all.discard(connection)
        self._admitted.discard(connection)

    def check(self, now: float) -> None:
        """End connections past a deadline, and log refusals."""
        for connection in [c for c in self._all if now > min(c.deadline, c.stalled_at)]:
            if now > connection.stalled_at:
                connection.give_up()
            else:
                connection.expire()
        self.refusals.log_rest()
        self.clients.log_rest()


NEVER = math.inf
