"""Who may be connected, for how long, and how much all unfinished request heads may take.

One look twice a second over all connections takes the place of a timer for each request.
"""

import math
from typing import Protocol

from reelhook.doors.clients import RefusedClients
from reelhook.doors.limits import MIB, Limits, Refusals

HEADS_BYTES_MAX = 16 * MIB
"""What all unfinished heads may take together, before those above `HEAD_BYTES_FREE` are refused."""
HEAD_BYTES_FREE = 8 * 1024
LINGERING_MAX = 64
"""How many refused connections may be open at once, so that their clients can read why; and no more
than an eighth of all (8 in any case), since they come out of what is kept for the engine.
"""


class Timed(Protocol):
    """A connection with something that must happen by a certain time."""

    deadline: float
    """When the client must have gone on, by the loop's clock; infinite while it need not."""
    stalled_at: float
    """When the client has taken nothing of its response for too long; infinite while it reads."""

    def expire(self) -> None:
        """End what took too long."""
        ...

    def give_up(self) -> None:
        """End a response that its client does not take."""
        ...


class ConnectionLimits:
    """Counts connections and keeps their deadlines."""

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
        """Whether there is room for one more. All are kept in sight, the others until they go."""
        self._all.add(connection)
        if len(self._admitted) >= self.connections_max:
            return False
        self._admitted.add(connection)
        return True

    def may_linger(self) -> bool:
        """Whether one more refused connection may stay open for a moment."""
        return self.lingering < self._lingering_max

    def leave(self, connection: Timed) -> None:
        """Forget a connection that is closed."""
        self._all.discard(connection)
        self._admitted.discard(connection)

    def look(self, now: float) -> None:
        """End what took too long, and tell what was refused."""
        for connection in [one for one in self._all if now > min(one.deadline, one.stalled_at)]:
            if now > connection.stalled_at:
                connection.give_up()
            else:
                connection.expire()
        self.refusals.log_rest()
        self.clients.log_rest()


NEVER = math.inf
