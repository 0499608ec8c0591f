"""Building the program from settings: store, provider, sender, loops, service, routes."""

import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from random import SystemRandom
from urllib.parse import urlsplit

import structlog

import reelhook
from reelhook import logs
from reelhook.bootstrap.database import bring_up_to_date, signing_secrets
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.domain.errors import SettingsError
from reelhook.engine.deliver import Deliver
from reelhook.engine.resolve import Resolve
from reelhook.engine.runner import Loop, Runner
from reelhook.engine.submit import Submit
from reelhook.engine.sweep import Sweep
from reelhook.engine.watch import Watch
from reelhook.hook import Hook
from reelhook.http.access import Access
from reelhook.http.app import create_app
from reelhook.http.context import HttpOptions, UrlCheck
from reelhook.ports import Provider, Sender
from reelhook.providers.openai_wire import OpenAIWire
from reelhook.recording import Recording
from reelhook.service import Service, ServiceOptions
from reelhook.signals import Signals
from reelhook.storage.sqlite import FileLock, SQLite
from reelhook.storage.store import Store
from reelhook.webhooks.addresses import AddressPolicy, check_registration
from reelhook.webhooks.resolver import SystemLookUp
from reelhook.webhooks.sender import AiohttpSender

log = structlog.get_logger()
ACCOUNT = "openai"


@contextlib.asynccontextmanager
async def open(  # noqa: A001 - read as reelhook.open
    settings: Settings, *, hosts: frozenset[str] | None = None, migrate: bool = True
) -> AsyncIterator[Hook]:
    """Run reelhook until the block ends: database, loops, and an ASGI app to mount.

    `hosts` are the names that the app answers to; None leaves that to the application around it.
    Raises `SettingsError`.
    """
    logs.defer_to_host()
    path = settings.database_path
    with FileLock(path):
        bring_up_to_date(settings, migrate=migrate)
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
            service.stop_waiting()
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
            secrets=await signing_secrets(settings, store),
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
