"""uvicorn's server with our own connections, and a stop that lets responses finish."""

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
TICK_SECONDS = 0.5
"""The interval of checks of deadlines, and of updates of the `Date` header."""
STOP_SECONDS = 5.5
"""The time limit for responses during a stop; loops have `runner.DRAIN_SECONDS`."""
CUT_OFF_SECONDS = 0.3
"""The time for requests to notice that their connection is gone, before they are canceled."""
_IDLE_POLL_SECONDS = 0.02


class HttpServer(uvicorn.Server):
    """uvicorn with our connections, no signal handlers, and a start that can be awaited."""

    def __init__(self, app: ASGIApp, connections: ConnectionLimits) -> None:
        config = uvicorn.Config(
            _ending_quietly(app),
            http=partial(Connection, connections=connections),  # type: ignore[arg-type] # called like a class
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # uvicorn would trust every local client; see BehindProxies
        )
        super().__init__(config)
        self._connections = connections
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()

    def stop(self) -> None:
        """Begin the stop; `serve` returns when it is complete."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Tick until `stop`. (Overrides uvicorn's, which notices its end only every 0.1 s.)"""
        while not await self.on_tick(0):
            self._connections.check(asyncio.get_running_loop().time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._stopping.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then set `ready`. (Overrides uvicorn's.)"""
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle no signal: uvicorn would raise it again at the end. (Overrides uvicorn's.)"""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, let responses finish, and cut off the rest.

        (Overrides uvicorn's, which logs errors and tracebacks of requests that it cuts off.)
        """
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if await self._idle(STOP_SECONDS):
            return
        unfinished = list(self.server_state.connections)
        log.info("The stop cut off responses", responses=len(unfinished))
        for connection in unfinished:
            if connection.transport is not None:
                connection.transport.abort()
        if not await self._idle(CUT_OFF_SECONDS):
            for task in self.server_state.tasks:
                task.cancel()

    async def _idle(self, seconds: float) -> bool:
        """Wait until no connection and no request is left; return False after `seconds`."""
        loop, state = asyncio.get_running_loop(), self.server_state
        end = loop.time() + seconds
        while state.connections or state.tasks:
            if loop.time() >= end:
                return False
            # Nothing signals the end of a connection.
            await asyncio.sleep(_IDLE_POLL_SECONDS)
        return True


def _ending_quietly(app: ASGIApp) -> ASGIApp:
    """Return an application whose canceled requests end without an error in the log."""

    async def ending(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return ending
