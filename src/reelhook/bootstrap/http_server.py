"""uvicorn's server with our own connections, and an end that lets responses finish."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from reelhook.bootstrap.connection import Connection
from reelhook.bootstrap.connection_limits import ConnectionLimits

log = structlog.get_logger()
LOOK_TICKS = 5
"""How often connections are looked at, in ticks of uvicorn's, which are 0.1 s."""
STOP_SECONDS = 5.5
"""How long running responses may take at the end, beside `runner.DRAIN_SECONDS` of the loops."""
CUT_OFF_SECONDS = 0.3
"""How long requests may take to notice that their connection is gone, before they are canceled."""
_WAIT_SECONDS = 0.02


class HttpServer(uvicorn.Server):
    """uvicorn, but signals and connections are ours, and being ready can be awaited."""

    def __init__(self, app: ASGIApp, doorman: ConnectionLimits) -> None:
        config = uvicorn.Config(
            _without_complaint(app),
            http=partial(Connection, doorman=doorman),  # type: ignore[arg-type] # called like a class
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # it would believe everybody on this machine; see BehindProxies
        )
        super().__init__(config)
        self._doorman = doorman
        self.ready = asyncio.Event()

    async def on_tick(self, counter: int) -> bool:
        """Look at the connections now and then. (Overrides uvicorn's.)"""
        if counter % LOOK_TICKS == 0:
            self._doorman.look(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so. (Overrides uvicorn's.)"""
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise one again at the end. (Overrides uvicorn's.)"""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no connection any more, let responses end, and cut off the rest.

        (Overrides uvicorn's, which logs errors and tracebacks of what it cuts off.)
        """
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if await self._idle(STOP_SECONDS):
            return
        left = list(self.server_state.connections)
        log.info("Responses were cut off by the stop", responses=len(left))
        for connection in left:
            if connection.transport is not None:
                connection.transport.abort()
        if not await self._idle(CUT_OFF_SECONDS):
            for task in self.server_state.tasks:
                task.cancel()

    async def _idle(self, seconds: float) -> bool:
        """Wait until nobody is connected and nothing is answered; return whether that came."""
        loop, state = asyncio.get_running_loop(), self.server_state
        end = loop.time() + seconds
        while state.connections or state.tasks:
            if loop.time() >= end:
                return False
            # Connections end without an event of theirs.
            await asyncio.sleep(_WAIT_SECONDS)
        return True


def _without_complaint(app: ASGIApp) -> ASGIApp:
    """Return an application whose canceled requests just end: their connections are gone."""

    async def ending(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return ending
