"""Builds the program from settings: store, providers, sender, loops, use cases, routes."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import structlog

import reelhook
from reelhook.bootstrap.accounts import Accounts, open_accounts
from reelhook.bootstrap.archive import open_objects
from reelhook.bootstrap.components import build_components
from reelhook.bootstrap.cost_warnings import warning_of_costs
from reelhook.bootstrap.database import (
    CALLBACK_KEY,
    OPERATOR_KEY,
    OpenDatabase,
    check_upstream,
    open_database,
    private_keys,
    signing_secrets,
)
from reelhook.bootstrap.formats import HEADERS, formats_at
from reelhook.bootstrap.gateway import build_gateway
from reelhook.bootstrap.lifespan import ServerLifespan
from reelhook.bootstrap.working import working
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.core.pause import WatchingPause
from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.callback import CallbackAddresses
from reelhook.domain.endpoint import DEFAULT_ENDPOINT, Endpoint, EndpointKind
from reelhook.domain.errors import ImageUrlRefusedError, WebhookUrlRefusedError
from reelhook.domain.event import iso
from reelhook.domain.file_address import FileAddresses
from reelhook.doors.access import Access, KeyMade
from reelhook.doors.app import create_app
from reelhook.doors.compat.functions import Hook
from reelhook.doors.context import HttpOptions, UrlCheck
from reelhook.doors.limits import KIB, MIB, Limits
from reelhook.fetching.fetcher import MediaFetcher
from reelhook.guard.addresses import AddressPolicy, LookUp, check_registration
from reelhook.guard.hosts import is_loopback
from reelhook.guard.resolver import SystemLookUp
from reelhook.guard.target import (
    SIGNED_URL_CHARACTERS_MAX,
    URL_CHARACTERS_MAX,
    AddressRefusedError,
    parse_target,
)
from reelhook.ports import Clock, MediaFetch
from reelhook.providers.registry import BUILT_IN
from reelhook.storage.store import Store
from reelhook.telemetry import lines as logs
from reelhook.webhooks.sender import AiohttpSender

log = structlog.get_logger()
_USER_AGENT = f"reelhook/{reelhook.__version__}"


@contextlib.asynccontextmanager
async def open(  # noqa: A001 - read as reelhook.open
    settings: Settings,
    *,
    hosts: frozenset[str] | None = None,
    migrate: bool = True,
    work: bool = True,
    simulator_url: str | None = None,
    lifespan: ServerLifespan | None = None,
) -> AsyncIterator[Hook]:
    """Run reelhook until the block ends: database, loops, and an ASGI app to mount.

    `hosts` are the accepted `Host` names; None leaves that check to the surrounding application.
    Without `work`, other processes on the same database run the jobs. With `simulator_url`, the
    simulator imitates every provider, and no account of the settings is used.
    Raises `SettingsError`.
    """
    logs.defer_to_host()
    async with (
        open_database(settings, migrate=migrate) as database,
        _running(
            settings,
            database,
            hosts=hosts,
            lifespan=lifespan or ServerLifespan(),
            work=work,
            simulator_url=simulator_url,
        ) as hook,
    ):
        yield hook


@contextlib.asynccontextmanager
async def _running(
    settings: Settings,
    database: OpenDatabase,
    *,
    hosts: frozenset[str] | None,
    lifespan: ServerLifespan,
    work: bool,
    simulator_url: str | None,
) -> AsyncIterator[Hook]:
    store, signals = database.store, Signals(database.publish)
    await check_upstream(store, simulated=simulator_url is not None)
    policy, look_up = AddressPolicy(settings.allow_networks), SystemLookUp()
    options = await _http_options(settings, store, _url_check(policy, look_up), hosts, lifespan)
    async with contextlib.AsyncExitStack() as stack:
        accounts = await stack.enter_async_context(open_accounts(settings, simulator_url, look_up))
        reachable = simulator_url is not None or "public_url" in settings.model_fields_set
        archived = settings.archive is not None
        parts = build_components(
            settings,
            store=store,
            accounts=accounts,
            sender=await stack.enter_async_context(AiohttpSender(policy, look_up=look_up)),
            signing=await _signing(settings, store),
            formats=formats_at(options.video_url, options.poster_url if archived else None),
            signals=signals,
            fetch=await stack.enter_async_context(_media_fetch(settings, policy, look_up)),
            callbacks=await _callbacks(settings, store, accounts, reachable=reachable),
            file_addresses=await _file_addresses(settings, store, simulator_url),
            objects=await open_objects(settings),
        )
        await _keep_default_endpoint(settings, store, parts.clock)
        is_alone = database.identity.lease_seconds is None
        gateway = build_gateway(parts, None if is_alone else database.identity.worker)
        _warn(settings)
        await _restore_pause(store, parts.pause)
        database.listen(signals.receive)
        stack.push_async_callback(lifespan.ended)
        if work:
            await stack.enter_async_context(warning_of_costs(accounts.providers))
            await stack.enter_async_context(working(parts, database.identity))
        try:
            yield Hook(gateway, create_app(gateway, options), settings.default_model)
        finally:
            gateway.feed.stop()


@contextlib.asynccontextmanager
async def _media_fetch(
    settings: Settings, policy: AddressPolicy, look_up: LookUp
) -> AsyncIterator[MediaFetch | None]:
    """Open the fetcher of the files that requests name by addresses, if it is wanted."""
    if not settings.fetch_images:
        yield None
        return
    folder = settings.data_dir / "spool"
    async with MediaFetcher(policy, folder, user_agent=_USER_AGENT, look_up=look_up) as fetcher:
        yield fetcher


async def _signing(settings: Settings, store: Store) -> Signing:
    return Signing(
        await signing_secrets(settings, store),
        user_agent=_USER_AGENT,
        private_keys=private_keys(settings),
        headers_of=HEADERS,
    )


async def _http_options(
    settings: Settings,
    store: Store,
    check_url: UrlCheck,
    hosts: frozenset[str] | None,
    lifespan: ServerLifespan,
) -> HttpOptions:
    access = Access(
        settings.api_key,
        hosts,
        download_key=await store.key("download", secrets.token_hex(32)),
        operator_key=await store.key(OPERATOR_KEY, secrets.token_hex(32)),
        browser_key=await store.key("browser", secrets.token_hex(32)),
        key_made=KeyMade(await store.any_api_key()),
        shared=not isinstance(settings.database, Path),
        link_seconds=settings.link_seconds,
    )
    return HttpOptions(
        access=access,
        public_url=settings.public_url,
        default_model=settings.default_model,
        check_url=check_url,
        clock=SystemClock(),
        cors_origins=settings.cors_origins,
        public_keys=tuple(key.public for key in private_keys(settings)),
        limits=limits_of(settings),
        clients=lifespan.clients,
        poll_seconds=settings.poll_seconds,
        examine=lifespan.examine,
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


async def _restore_pause(store: Store, pause: WatchingPause) -> None:
    """Start paused if the watcher was paused before, and log it: a pause outlives restarts."""
    since = await store.watching_paused_since()
    pause.active = since is not None
    if since is not None:
        log.warning(
            "The watcher is paused, so no job's status is updated; "
            "resume it with `reelhook watcher resume`",
            since=iso(since),
        )


async def _callbacks(
    settings: Settings, store: Store, accounts: Accounts, *, reachable: bool
) -> CallbackAddresses:
    """Return the callback addresses; none is offered if providers can't reach this server."""
    notifying = {
        account.id: account.provider
        for account in accounts.catalog.accounts.values()
        if reachable and accounts.providers[account.id].traits.notifies
    }
    return CallbackAddresses(settings.public_url, await _callback_key(store), notifying)


async def _file_addresses(
    settings: Settings, store: Store, simulator_url: str | None
) -> FileAddresses:
    """Return the addresses of files of requests; none if providers can't fetch from here."""
    local = is_loopback(urlsplit(settings.public_url).hostname or "")
    fetchable = simulator_url is not None or not local
    return FileAddresses(settings.public_url if fetchable else None, await _callback_key(store))


async def _callback_key(store: Store) -> str:
    return await store.key(CALLBACK_KEY, secrets.token_hex(32))


def limits_of(settings: Settings) -> Limits:
    """Return the limits for one client."""
    return Limits(
        head_bytes=settings.request_head_kib * KIB,
        head_seconds=settings.request_head_seconds,
        body_bytes=settings.request_body_mib * MIB,
        upload_bytes=settings.upload_max_mib * MIB,
        transfer_seconds=settings.transfer_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        streams_max=settings.streams_max,
    )


def _warn(settings: Settings) -> None:
    """Log settings that are valid but probably a mistake."""
    if settings.submit_settle_seconds < settings.submit_timeout_seconds:
        log.warning(
            "REELHOOK_SUBMIT_SETTLE_SECONDS is below REELHOOK_SUBMIT_TIMEOUT_SECONDS: a create "
            "that is still in flight may count as lost and be sent again, so you may pay twice; "
            "raise it above the timeout",
            settle_seconds=settings.submit_settle_seconds,
            timeout_seconds=settings.submit_timeout_seconds,
        )
    base_url: str | None = getattr(settings, BUILT_IN["openai"].settings["base_url"])
    if urlsplit(base_url or "").hostname == "api.openai.com":
        log.warning(
            "api.openai.com has not served /v1/videos since 2026-09-24; "
            "set OPENAI_BASE_URL to another server"
        )


def _url_check(policy: AddressPolicy, look_up: LookUp) -> UrlCheck:
    async def check(
        url: str, *, field: str = "webhookUrl", trusted: bool = False, media: bool = False
    ) -> None:
        refused = ImageUrlRefusedError if media else WebhookUrlRefusedError
        longest = SIGNED_URL_CHARACTERS_MAX if media else URL_CHARACTERS_MAX
        try:
            if trusted:
                parse_target(url)
            else:
                await check_registration(url, policy, look_up, characters_max=longest)
        except AddressRefusedError as error:
            raise refused(field, error.message) from None

    return check
