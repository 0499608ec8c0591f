"""The composition root: the only place that knows every room, and builds the program from them."""

import asyncio
import base64
import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
import uvicorn

import reelhook
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.domain.errors import SettingsError
from reelhook.engine.deliver import Deliver, Secrets
from reelhook.engine.resolve import Resolve
from reelhook.engine.runner import Loop, Runner
from reelhook.engine.submit import Submit
from reelhook.engine.sweep import Sweep
from reelhook.engine.watch import Watch
from reelhook.hook import Hook
from reelhook.http.access import Access
from reelhook.http.app import HttpOptions, UrlCheck, create_app
from reelhook.ports import Provider, Sender
from reelhook.providers.openai_wire import OpenAIWire
from reelhook.recording import Recording
from reelhook.service import Service, ServiceOptions
from reelhook.signals import Signals
from reelhook.storage import migrate as migrations
from reelhook.storage.sqlite import FileLock, SQLite, read_key
from reelhook.storage.store import Store
from reelhook.webhooks.addresses import AddressPolicy, check_registration
from reelhook.webhooks.resolver import SystemLookUp
from reelhook.webhooks.sender import AiohttpSender

if TYPE_CHECKING:
    from reelhook.simulator.faults import Faults

log = structlog.get_logger()
ACCOUNT = "openai"
SERVER_STOP_SECONDS = 2
"""How long open responses may take at the end; the loops then have `runner.DRAIN_SECONDS`."""
WEBHOOK_KEY = "webhook"


@contextlib.asynccontextmanager
async def open(  # noqa: A001 - read as reelhook.open
    settings: Settings, *, hosts: frozenset[str] | None = None, migrate: bool = True
) -> AsyncIterator[Hook]:
    """Run reelhook until the block ends: database, loops, and an ASGI app to mount.

    `hosts` are the names that the app answers to; None leaves that to the application around it.
    Raises `SettingsError`.
    """
    path = settings.database_path
    with FileLock(path):
        _bring_up_to_date(settings, migrate=migrate)
        database = SQLite(path)
        try:
            async with _running(settings, Store(database), hosts) as hook:
                yield hook
        finally:
            await database.close()


@contextlib.asynccontextmanager
async def _running(
    settings: Settings, store: Store, hosts: frozenset[str] | None
) -> AsyncIterator[Hook]:
    clock, random, signals = SystemClock(), SystemRandom(), Signals()
    policy = AddressPolicy(settings.allow_networks)
    options = HttpOptions(
        access=Access(settings.api_key, hosts, await store.key("download", secrets.token_hex(32))),
        public_url=settings.public_url,
        default_model=settings.default_model,
        check_url=_url_check(policy),
    )
    recording = Recording(store, signals, options.video_url)
    async with contextlib.AsyncExitStack() as stack:
        provider = await stack.enter_async_context(_provider(settings))
        sender = await stack.enter_async_context(AiohttpSender(policy))
        service = Service(
            store,
            {ACCOUNT: provider},
            recording,
            signals,
            ServiceOptions(
                webhook_url=settings.webhook_url,
                poll_seconds=settings.poll_seconds,
                submit_wait_seconds=settings.submit_timeout_seconds + 5,
            ),
            clock=clock,
            random=random,
        )
        loops = await _loops(settings, store, provider, sender, recording, signals)
        runner = Runner(loops, clock)
        _warn(settings)
        log.info("Starting Sora API polling service...", emoji="🔍")
        runner.start()
        interval = round(settings.poll_seconds * 1000)
        log.info(f"Sora polling service started (interval: {interval}ms)", emoji="✅")
        try:
            yield Hook(service, create_app(service, options), settings.default_model)
        finally:
            signals.stopping.set()
            signals.changed.notify()
            await runner.stop()
            log.info("Sora polling service stopped", emoji="⏹️")


def _provider(settings: Settings) -> OpenAIWire:
    if settings.openai_base_url is None:
        raise SettingsError("OPENAI_BASE_URL is not set; name a server that speaks /v1/videos")
    return OpenAIWire(
        settings.openai_base_url,
        settings.openai_api_key,
        submit_timeout_seconds=settings.submit_timeout_seconds,
    )


def _warn(settings: Settings) -> None:
    """Say what is obeyed all the same, but is likely a mistake."""
    if settings.submit_settle_seconds < settings.submit_timeout_seconds:
        log.warning(
            "REELHOOK_SUBMIT_SETTLE_SECONDS is below REELHOOK_SUBMIT_TIMEOUT_SECONDS: a create "
            "that is still under way at the provider may be taken for lost, and paid twice",
            settle_seconds=settings.submit_settle_seconds,
            timeout_seconds=settings.submit_timeout_seconds,
        )
    if urlsplit(settings.openai_base_url or "").hostname == "api.openai.com":
        log.warning("api.openai.com has had no /v1/videos since 2026-09-24; set OPENAI_BASE_URL")


def _url_check(policy: AddressPolicy) -> UrlCheck:
    look_up = SystemLookUp()

    async def check(url: str) -> None:
        await check_registration(url, policy, look_up)

    return check


async def _loops(
    settings: Settings,
    store: Store,
    provider: Provider,
    sender: Sender,
    recording: Recording,
    signals: Signals,
) -> list[Loop]:
    clock, random = SystemClock(), SystemRandom()
    (lease,) = await store.take_leases([f"account:{ACCOUNT}"], str(os.getpid()), clock.now())
    submit = Submit(
        store, provider, lease, recording, signals, account=ACCOUNT, clock=clock, random=random
    )
    return [
        submit,
        Resolve(
            store,
            provider,
            lease,
            recording,
            signals,
            submit,
            account=ACCOUNT,
            settle_seconds=settings.submit_settle_seconds,
            clock=clock,
        ),
        Watch(
            store,
            provider,
            lease,
            recording,
            signals,
            account=ACCOUNT,
            poll_seconds=settings.poll_seconds,
            max_age_hours=settings.max_age_hours,
            clock=clock,
        ),
        Deliver(
            store,
            sender,
            signals,
            secrets=await _secrets(settings, store),
            schedule=settings.retry_schedule,
            user_agent=f"reelhook/{reelhook.__version__}",
            clock=clock,
            random=random,
        ),
        Sweep(
            store,
            lease,
            recording,
            signals,
            max_age_hours=settings.max_age_hours,
            clock=clock,
        ),
    ]


# -- keys -----------------------------------------------------------------------------------------


def _made_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


async def _secrets(settings: Settings, store: Store) -> Secrets:
    if settings.webhook_secret is not None:
        return Secrets(settings.webhook_secret, settings.webhook_secret_previous)
    made = _made_secret()
    secret = await store.key(WEBHOOK_KEY, made)
    if secret == made:
        # Shown once, to whoever starts the server; never in the log.
        sys.stderr.write(f"No WEBHOOK_SECRET is set, so one was made for receivers: {secret}\n")
    log.info("Webhooks are signed with the secret in the database; `reelhook secret` shows it")
    return Secrets(secret, settings.webhook_secret_previous)


async def webhook_secret(settings: Settings) -> str:
    """Return the secret that webhooks are signed with, making it if there is none yet.

    Reads beside a running server; raises `SettingsError` when the database can't be opened.
    """
    if settings.webhook_secret is not None:
        return settings.webhook_secret
    path = settings.database_path
    known = read_key(path, WEBHOOK_KEY)
    if known is not None:
        return known
    with FileLock(path):
        migrations.migrate(path)
        database = SQLite(path)
        try:
            return await Store(database).key(WEBHOOK_KEY, _made_secret())
        finally:
            await database.close()


# -- the schema -----------------------------------------------------------------------------------


def _bring_up_to_date(settings: Settings, *, migrate: bool) -> None:
    if migrate:
        migrations.migrate(settings.database_path)
    elif missing := migrations.pending(settings.database_path):
        raise SettingsError(
            f"The database lacks the revisions {', '.join(missing)}; "
            "run `reelhook migrate`, or start without --no-migrate"
        )


def migrate(settings: Settings, steps: int | None = None) -> list[str]:
    """Apply the next `steps` revisions (None: all missing ones); return their names."""
    with FileLock(settings.database_path):
        return migrations.migrate(settings.database_path, steps)


def rollback(settings: Settings, *, destroy: bool = False) -> str | None:
    """Undo the newest revision; return its name, or None when there is none."""
    with FileLock(settings.database_path):
        return migrations.rollback(settings.database_path, destroy=destroy)


# -- serving --------------------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """uvicorn, but signals are ours and being ready can be awaited."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again at the end, and so end the process with it.
        yield


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes requests at `url`."""

    url: str
    hook: Hook


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, *, simulate: bool = False, migrate: bool = True
) -> AsyncIterator[Running]:
    """Serve HTTP until the block ends. Raises `SettingsError`."""
    settings.check_for_serving(simulate=simulate)
    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(_listener(settings.host, settings.port))
        settings = settings.listening_on(listener.getsockname()[1])
        if simulate:
            base_url = await stack.enter_async_context(simulating())
            settings = settings.model_copy(update={"openai_base_url": base_url})
        hook = await stack.enter_async_context(
            open(settings, hosts=_hosts(settings), migrate=migrate)
        )
        server = _Server(
            uvicorn.Config(
                hook.asgi,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=SERVER_STOP_SECONDS,
            )
        )
        task = asyncio.create_task(server.serve([listener]))
        await server.ready.wait()
        url = _own_url(settings)
        log.info(f"reelhook listens on {url}", docs=f"{url}/docs")
        try:
            yield Running(url, hook)
        finally:
            hook.service.stopping.set()
            hook.service.changed.set()
            server.should_exit = True
            await task


async def serve(settings: Settings, *, simulate: bool = False, migrate: bool = True) -> None:
    """Serve until SIGTERM or SIGINT, then end cleanly within 8 s."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings, simulate=simulate, migrate=migrate):
        await stop.wait()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SettingsError(
            f"Can't listen on {host} port {port} ({os.strerror(error.errno or 0)}); choose another with PORT "
            "or REELHOOK_HOST"
        ) from None


def _own_url(settings: Settings) -> str:
    """Where this server listens, as seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _hosts(settings: Settings) -> frozenset[str]:
    public = urlsplit(settings.public_url).hostname
    return frozenset({settings.host, *settings.allowed_hosts, *([public] if public else [])})


@contextlib.asynccontextmanager
async def simulating(
    faults: "Faults | None" = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Run a simulated provider until the block ends; yield its base URL.

    Raises `SettingsError` when the port is taken.
    """
    from reelhook.simulator.server import running  # noqa: PLC0415 - loaded only when used

    try:
        async with running(faults, host=host, port=port, render_ahead=True) as simulator:
            yield simulator.base_url
    except OSError as error:
        raise SettingsError(
            f"The simulator can't listen on {host} port {port} ({os.strerror(error.errno or 0)}); "
            "choose another port"
        ) from None
