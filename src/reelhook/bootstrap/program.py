"""Building the program from settings: store, provider, sender, loops, service, routes."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from random import SystemRandom
from urllib.parse import urlsplit

import structlog

import reelhook
from reelhook.bootstrap.accounts import Accounts
from reelhook.bootstrap.accounts import opened as opened_accounts
from reelhook.bootstrap.components import Components, working
from reelhook.bootstrap.cost_warnings import advising
from reelhook.bootstrap.database import (
    CALLBACK_KEY,
    OPERATOR_KEY,
    OpenDatabase,
    check_upstream,
    open_database,
    private_keys,
    signing_secrets,
)
from reelhook.bootstrap.lifespan import ServerLifespan
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.core.recording import Recording
from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.callback import CallbackAddresses
from reelhook.domain.endpoint import DEFAULT_ENDPOINT, Endpoint, EndpointKind
from reelhook.domain.errors import ImageUrlRefusedError, WebhookUrlRefusedError
from reelhook.domain.event import iso
from reelhook.doors.access import Access
from reelhook.doors.app import create_app
from reelhook.doors.compat.functions import Hook
from reelhook.doors.context import HttpOptions, UrlCheck
from reelhook.doors.limits import KIB, MIB, Limits
from reelhook.gateway import Gateway, build_gateway
from reelhook.guard.addresses import AddressPolicy, LookUp, check_registration
from reelhook.guard.resolver import SystemLookUp
from reelhook.guard.target import (
    SIGNED_URL_CHARACTERS_MAX,
    URL_CHARACTERS_MAX,
    AddressRefusedError,
    parse_target,
)
from reelhook.ports import Clock
from reelhook.storage.store import Store
from reelhook.telemetry import lines as logs
from reelhook.webhooks.sender import AiohttpSender

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def open(  # noqa: A001 - read as reelhook.open
    settings: Settings,
    *,
    hosts: frozenset[str] | None = None,
    migrate: bool = True,
    work: bool = True,
    simulator_url: str | None = None,
    front: ServerLifespan | None = None,
) -> AsyncIterator[Hook]:
    """Run reelhook until the block ends: database, loops, and an ASGI app to mount.

    `hosts` are the names that the app answers to; None leaves that to the application around it.
    Without `work` other processes on the same database do what it takes in. With the address of
    a simulator every provider is played by it, and the settings' accounts are left alone.
    Raises `SettingsError`.
    """
    logs.defer_to_host()
    async with (
        open_database(settings, migrate=migrate) as at,
        _running(
            *(settings, at, hosts, front or ServerLifespan()),
            work=work,
            simulator_url=simulator_url,
        ) as hook,
    ):
        yield hook


@contextlib.asynccontextmanager
async def _running(
    settings: Settings,
    at: OpenDatabase,
    hosts: frozenset[str] | None,
    front: ServerLifespan,
    *,
    work: bool,
    simulator_url: str | None,
) -> AsyncIterator[Hook]:
    store, clock, signals = at.store, SystemClock(), Signals(at.tell)
    await check_upstream(store, simulated=simulator_url is not None)
    policy, look_up = AddressPolicy(settings.allow_networks), SystemLookUp()
    options = await _http_options(settings, store, _url_check(policy, look_up), hosts, front)
    signing = Signing(
        await signing_secrets(settings, store),
        user_agent=f"reelhook/{reelhook.__version__}",
        private_keys=private_keys(settings),
    )
    await _keep_default_endpoint(settings, store, clock)
    recording = Recording(store, signals, options.video_url)
    async with contextlib.AsyncExitStack() as stack:
        accounts = await stack.enter_async_context(
            opened_accounts(settings, simulator_url, look_up)
        )
        reachable = simulator_url is not None or "public_url" in settings.model_fields_set
        callbacks = await _callbacks(settings, store, accounts, reachable=reachable)
        sender = await stack.enter_async_context(AiohttpSender(policy, look_up=look_up))
        parts = Components(
            *(settings, store, accounts, callbacks, sender, signing, recording, signals),
            clock=clock,
            random=SystemRandom(),
        )
        gateway = _gateway(parts)
        _warn(settings)
        await _tell_of_pause(store, signals)
        at.listen(signals.hear)
        stack.push_async_callback(front.ended)
        if work:
            await stack.enter_async_context(advising(accounts.providers))
            await stack.enter_async_context(working(parts, at.sharing))
        try:
            yield Hook(gateway, create_app(gateway, options), settings.default_model)
        finally:
            gateway.feed.stop()


async def _http_options(
    settings: Settings,
    store: Store,
    check_url: UrlCheck,
    hosts: frozenset[str] | None,
    front: ServerLifespan,
) -> HttpOptions:
    access = Access(
        settings.api_key,
        hosts,
        download_key=await store.key("download", secrets.token_hex(32)),
        operator_key=await store.key(OPERATOR_KEY, secrets.token_hex(32)),
        shared=not isinstance(settings.database, Path),
    )
    return HttpOptions(
        access=access,
        public_url=settings.public_url,
        default_model=settings.default_model,
        check_url=check_url,
        clock=SystemClock(),
        public_keys=tuple(key.public for key in private_keys(settings)),
        limits=limits_of(settings),
        clients=front.clients,
    )


async def _keep_default_endpoint(settings: Settings, store: Store, clock: Clock) -> None:
    if settings.webhook_url is not None:
        await store.keep_default_endpoint(
            Endpoint(
                DEFAULT_ENDPOINT,
                EndpointKind.DEFAULT,
                settings.webhook_url,
                trusted=True,
                created_at=clock.now(),
            )
        )


async def _tell_of_pause(store: Store, signals: Signals) -> None:
    """Begin as the watcher was left: a pause outlives restarts, so it is said aloud."""
    since = await store.watching_paused_since()
    signals.watching_paused = since is not None
    if since is not None:
        log.warning(
            "The watcher is paused, so no provider is asked how jobs fare; "
            "resume it with `reelhook watcher resume`",
            since=iso(since),
        )


async def _callbacks(
    settings: Settings, store: Store, accounts: Accounts, *, reachable: bool
) -> CallbackAddresses:
    """Return the addresses for providers; none is given out where nobody could reach us."""
    notifying = {
        account.id: account.provider
        for account in accounts.catalog.accounts.values()
        if reachable and accounts.providers[account.id].traits.notifies
    }
    key = await store.key(CALLBACK_KEY, secrets.token_hex(32))
    return CallbackAddresses(settings.public_url, key, notifying)


def _gateway(parts: Components) -> Gateway:
    settings = parts.settings
    return build_gateway(
        store=parts.store,
        providers=parts.accounts.providers,
        catalog=parts.accounts.catalog,
        callbacks=parts.callbacks,
        sender=parts.sender,
        signing=parts.signing,
        recording=parts.recording,
        signals=parts.signals,
        has_default_endpoint=settings.webhook_url is not None,
        submit_wait_seconds=settings.submit_timeout_seconds + 5,
        overlap_hours=settings.secret_overlap_hours,
        poll_seconds=settings.poll_seconds,
        clock=parts.clock,
        random=parts.random,
    )


def limits_of(settings: Settings) -> Limits:
    """Return what one client may take."""
    return Limits(
        head_bytes=settings.request_head_kib * KIB,
        head_seconds=settings.request_head_seconds,
        body_bytes=settings.request_body_mib * MIB,
        transfer_seconds=settings.transfer_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        streams_max=settings.streams_max,
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


def _url_check(policy: AddressPolicy, look_up: LookUp) -> UrlCheck:
    async def check(url: str, *, field: str = "webhookUrl", trusted: bool = False) -> None:
        image = field == "image"
        refused = ImageUrlRefusedError if image else WebhookUrlRefusedError
        longest = SIGNED_URL_CHARACTERS_MAX if image else URL_CHARACTERS_MAX
        try:
            if trusted:
                parse_target(url)
            else:
                await check_registration(url, policy, look_up, characters_max=longest)
        except AddressRefusedError as error:
            raise refused(field, error.message) from None

    return check
