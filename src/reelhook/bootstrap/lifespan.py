"""What an HTTP server of our own brings along for the application that it serves."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from reelhook.doors.clients import RefusedClients


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class ServerLifespan:
    """`clients` takes note of refused ones. `ended` is awaited when the loops have stopped.

    Until it returns responses may still be under way, so that nothing that they use is closed.
    """

    clients: RefusedClients = field(default_factory=RefusedClients)
    ended: Callable[[], Awaitable[None]] = _nothing
