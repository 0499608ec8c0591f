"""Serves the program over HTTP."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp

from reelhook.bootstrap.accounts import simulated_accounts
from reelhook.bootstrap.connection_limits import ConnectionLimits
from reelhook.bootstrap.database import check_exposure
from reelhook.bootstrap.descriptors import connections_max, files_max
from reelhook.bootstrap.http_server import HttpServer
from reelhook.bootstrap.lifespan import ServerLifespan
from reelhook.bootstrap.program import limits_of
from reelhook.bootstrap.program import open as open_program
from reelhook.bootstrap.simulating import reason, simulator
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.domain.errors import SettingsError
from reelhook.doors.compat.functions import Hook
from reelhook.doors.context import CheckResult
from reelhook.doors.proxies import BehindProxies
from reelhook.guard.hosts import local_url
from reelhook.storage.schema.apart import migrate_apart

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Running:
    """A server that accepts requests at `url`."""

    url: str
    hook: Hook


@contextlib.asynccontextmanager
async def server(
    settings: Settings,
    *,
    simulate: bool = False,
    simulator_url: str | None = None,
    migrate: bool = True,
    apart: bool = False,
    work: bool = True,
    examine: Callable[[Settings], Awaitable[Sequence[CheckResult]]] | None = None,
) -> AsyncIterator[Running]:
    """Serve HTTP until the block ends. Raises `SettingsError`.

    With `apart`, a process of its own migrates a SQLite file. Without `work`, jobs are left to
    `worker` processes on the same database. With `simulate`, or the URL of a running simulator,
    only simulated providers are called. `examine` checks the installation for its operator, with
    the settings as they are once the server listens.
    """
    settings.check_for_server(simulate=simulate or simulator_url is not None, work=work)
    await check_exposure(settings, SystemClock().now())
    connections = ConnectionLimits(limits_of(settings), connections_max(settings, files_max()))
    responses: asyncio.Task[None] | None = None

    async def responses_ended() -> None:
        if responses is not None:
            await responses

    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(_listener(settings.host, settings.port))
        settings = settings.listening_on(listener.getsockname()[1])
        if simulate:
            simulator_url = (await stack.enter_async_context(simulator())).removesuffix("/v1")
        if migrate and apart and isinstance(settings.database, Path):
            await migrate_apart(settings.database)
        hook = await stack.enter_async_context(
            open_program(
                settings,
                hosts=_hosts(settings),
                migrate=migrate,
                work=work,
                simulator_url=simulator_url,
                lifespan=ServerLifespan(
                    connections.clients,
                    responses_ended,
                    None if examine is None else partial(examine, settings),
                ),
            )
        )
        http = HttpServer(_behind_proxies(settings, hook.asgi), connections)
        responses = asyncio.create_task(http.serve([listener]))
        try:
            await http.ready.wait()
            url = local_url(settings.host, settings.port)
            _announce(url, simulator_url if simulate else None)
            yield Running(url, hook)
        finally:
            # Responses end while the loops drain, so that each has most of the 8 s.
            hook.gateway.feed.stop()
            http.stop()


def _announce(url: str, simulator_url: str | None) -> None:
    if simulator_url is not None:
        names = ", ".join(account.provider for account in simulated_accounts(simulator_url))
        log.info(f"Simulated providers: {names}; `reelhook models` lists their models")
    log.info(f"reelhook listens on {url}", dashboard=f"{url}/", docs=f"{url}/docs")


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    dual_stack = host == "::" and socket.has_dualstack_ipv6()  # IPv4 clients too
    try:
        listener = socket.create_server(
            (host, port), family=family, backlog=2048, dualstack_ipv6=dual_stack
        )
    except OSError as error:
        raise SettingsError(
            f"Can't listen on {host} port {port} ({reason(error)}); "
            "choose another with PORT or REELHOOK_HOST"
        ) from None
    # asyncio sets it only on its own sockets. Without it, each response is delayed by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _hosts(settings: Settings) -> frozenset[str]:
    public = urlsplit(settings.public_url).hostname
    return frozenset({settings.host, *settings.allowed_hosts, *([public] if public else [])})


def _behind_proxies(settings: Settings, app: ASGIApp) -> ASGIApp:
    prefix = urlsplit(settings.public_url).path
    if not prefix and not settings.trusted_proxies:
        return app
    return BehindProxies(app, settings.trusted_proxies, prefix)
