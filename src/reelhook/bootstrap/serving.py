"""Serving the program over HTTP, and the simulator beside it."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp

from reelhook.bootstrap.accounts import simulated
from reelhook.bootstrap.connection_limits import ConnectionLimits
from reelhook.bootstrap.descriptors import connections_max, files_max, raise_soft_limit
from reelhook.bootstrap.http_server import HttpServer
from reelhook.bootstrap.lifespan import ServerLifespan
from reelhook.bootstrap.program import limits_of
from reelhook.bootstrap.program import open as open_program
from reelhook.config import Settings
from reelhook.domain.errors import SettingsError
from reelhook.doors.compat.functions import Hook
from reelhook.doors.proxies import BehindProxies

if TYPE_CHECKING:
    from reelhook.simulator.faults import Faults
    from reelhook.simulator.flavour import Flavour

log = structlog.get_logger()
GC_ALLOCATIONS = 20_000
"""How many more objects than at its last look there may be before the collector looks again."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes requests at `url`."""

    url: str
    hook: Hook


@contextlib.asynccontextmanager
async def serving(
    settings: Settings,
    *,
    simulate: bool = False,
    simulator_url: str | None = None,
    migrate: bool = True,
    work: bool = True,
) -> AsyncIterator[Running]:
    """Serve HTTP until the block ends. Raises `SettingsError`.

    Without `work` the jobs are left to `worker` processes on the same database. With `simulate`,
    or beside a simulator that runs already, no provider but the simulated ones is asked.
    """
    settings.check_for_serving(simulate=simulate or simulator_url is not None, work=work)
    doorman = ConnectionLimits(limits_of(settings), connections_max(settings, files_max()))
    responses: asyncio.Task[None] | None = None

    async def answered() -> None:
        if responses is not None:
            await responses

    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(_listener(settings.host, settings.port))
        settings = settings.listening_on(listener.getsockname()[1])
        if simulate:
            simulator_url = (await stack.enter_async_context(simulating())).removesuffix("/v1")
        hook = await stack.enter_async_context(
            open_program(
                settings,
                hosts=_hosts(settings),
                migrate=migrate,
                work=work,
                simulator_url=simulator_url,
                front=ServerLifespan(doorman.clients, answered),
            )
        )
        server = HttpServer(_behind_proxies(settings, hook.asgi), doorman)
        responses = asyncio.create_task(server.serve([listener]))
        try:
            await server.ready.wait()
            url = _own_url(settings)
            if simulate and simulator_url is not None:
                played = ", ".join(one.provider for one in simulated(simulator_url))
                log.info(f"Simulated providers: {played}; `reelhook models` lists what they make")
            log.info(f"reelhook listens on {url}", docs=f"{url}/docs")
            yield Running(url, hook)
        finally:
            # What is under way ends beside the loops, so that each has most of the 8 s.
            hook.gateway.feed.stop()
            server.should_exit = True


async def serve(
    settings: Settings, *, simulate: bool = False, migrate: bool = True, work: bool = True
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then end cleanly within 8 s."""
    raise_soft_limit()
    await _run(serving(settings, simulate=simulate, migrate=migrate, work=work))


async def work(settings: Settings, *, migrate: bool = True) -> None:
    """Work beside other processes on the same database, without HTTP, until told as `serve` is."""
    settings.check_for_working()
    raise_soft_limit()
    await _run(open_program(settings, migrate=migrate))


async def _run(program: AbstractAsyncContextManager[object]) -> None:
    """Run until SIGTERM, SIGINT or SIGHUP. One that comes during the start ends that."""
    stop, started = _told_to_stop(), asyncio.Event()

    async def until_told() -> None:
        async with program:
            _collect_less()
            started.set()
            await stop.wait()

    running = asyncio.create_task(until_told())
    told = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, told], return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set() and not started.is_set():
            log.info("Told to stop during the start")
            running.cancel()
            # What it failed with on the way is of no interest any more.
            await asyncio.gather(running, return_exceptions=True)
        else:
            await running
    finally:
        told.cancel()


def _collect_less() -> None:
    """Keep the garbage collector from walking through all that was loaded, again and again.

    What is loaded stays; what a request or an attempt makes is mostly freed without the collector.
    At 1,000 events a second this more than halved the 95th percentile of their delay.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)


def _told_to_stop() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # A hang-up too: a terminal that closes, and init systems that mean "stop" by it.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return stop


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()  # every address, IPv4's too
    try:
        listener = socket.create_server(
            (host, port), family=family, backlog=2048, dualstack_ipv6=both
        )
    except OSError as error:
        raise SettingsError(
            f"Can't listen on {host} port {port} ({_reason(error)}); "
            "choose another with PORT or REELHOOK_HOST"
        ) from None
    # asyncio sets it only on sockets that it made itself; without it each answer waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _reason(error: OSError) -> str:
    """The system's words, without the echo of the address that some errors carry."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else str(error.strerror)


def _own_url(settings: Settings) -> str:
    """Where this server listens, as seen from this machine."""
    every = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    host = "127.0.0.1" if settings.host in every else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _hosts(settings: Settings) -> frozenset[str]:
    public = urlsplit(settings.public_url).hostname
    return frozenset({settings.host, *settings.allowed_hosts, *([public] if public else [])})


def _behind_proxies(settings: Settings, app: ASGIApp) -> ASGIApp:
    prefix = urlsplit(settings.public_url).path
    if not prefix and not settings.trusted_proxies:
        return app
    return BehindProxies(app, settings.trusted_proxies, prefix)


@contextlib.asynccontextmanager
async def simulating(
    faults: "Faults | None" = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    flavour: "Flavour | None" = None,
) -> AsyncIterator[str]:
    """Run a simulated provider until the block ends; yield its base URL.

    Raises `SettingsError` when the port is taken, and where there is no room for videos.
    """
    from reelhook.simulator.server import running  # noqa: PLC0415 - loaded only when used

    try:
        tempfile.gettempdir()
    except OSError:
        raise SettingsError(
            "The simulator renders videos into a temporary directory, and none can be written; "
            "name one with TMPDIR"
        ) from None

    async with contextlib.AsyncExitStack() as stack:
        try:
            simulator = await stack.enter_async_context(
                running(faults, host=host, port=port, render_ahead=True, flavour=flavour)
            )
        except OSError as error:
            raise SettingsError(
                f"The simulator can't listen on {host} port {port} ({_reason(error)}); "
                "choose another port"
            ) from None
        yield simulator.base_url
