"""The connection between our HTTP server and the application that it serves."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from reelhook.doors.clients import RefusedClients
from reelhook.doors.context import Examine


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class ServerLifespan:
    """Hooks that the server gives to the application.

    `clients` records refused clients. `ended` is awaited after the loops have stopped. Responses
    may be in flight until it returns, so nothing that they use is closed earlier. `examine` checks
    the installation; None: this server can't.
    """

    clients: RefusedClients = field(default_factory=RefusedClients)
    ended: Callable[[], Awaitable[None]] = _nothing
    examine: Examine | None = None
