"""What the program does to its database and keys, outside of serving."""

import base64
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from reelhook.bootstrap.accounts import provider_kind
from reelhook.config import Settings
from reelhook.core.signing import Secrets
from reelhook.core.wakeups import Publish
from reelhook.domain.callback import CallbackAddresses, Subject, SubjectKind
from reelhook.domain.errors import SettingsError
from reelhook.domain.signing_keys import PrivateKey
from reelhook.engine.worker import LEASE_SECONDS, WorkerIdentity
from reelhook.providers.http.provider import HttpProvider
from reelhook.storage.open import awaited, exclusive, open_notifier, open_store, read_key
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.sqlite.interruptible import interruptible
from reelhook.storage.store import Store
from reelhook.telemetry.lines import defer_to_host

log = structlog.get_logger()
WEBHOOK_KEY = "webhook"
OPERATOR_KEY = "operator"
CALLBACK_KEY = "callback"
SIMULATOR, PROVIDERS = "simulator", "providers"
"""What a database is used with."""


async def bring_up_to_date(settings: Settings, *, migrate: bool) -> None:
    """Apply what is missing, or raise `SettingsError` where `migrate` says not to."""
    target = settings.database
    if migrate:
        await interruptible(lambda interrupt: migrations.migrate(target, interrupt=interrupt))
    elif missing := await interruptible(
        lambda interrupt: migrations.pending(target, interrupt=interrupt)
    ):
        raise SettingsError(
            f"The database lacks the revisions {', '.join(missing)}; "
            "run `reelhook migrate`, or start without --no-migrate"
        )


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    """An opened database, how its work is shared, and the wire to other processes on it."""

    store: Store
    sharing: WorkerIdentity
    tell: Publish
    listen: Callable[[Callable[[Sequence[str]], None]], None]


def _to_nobody(_: object) -> None:
    """There is no wire."""


@contextlib.asynccontextmanager
async def open_database(settings: Settings, *, migrate: bool) -> AsyncIterator[OpenDatabase]:
    """Open the database, with the schema up to date. Raises `SettingsError`."""
    target = settings.database
    worker = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    if isinstance(target, Path):
        async with exclusive(target):
            await bring_up_to_date(settings, migrate=migrate)
            async with open_store(target) as database:
                store = Store(database)
                await store.free_leases()  # the file's lock proves that no one else is alive
                yield OpenDatabase(store, WorkerIdentity(worker), _to_nobody, _to_nobody)
    else:
        pooled = not settings.wake_ups
        await awaited(target, pooled=pooled, seconds=settings.database_wait_seconds)
        async with exclusive(target):
            await bring_up_to_date(settings, migrate=migrate)
        sharing = WorkerIdentity(worker, LEASE_SECONDS)
        async with (
            open_store(target, pooled=pooled) as database,
            open_notifier(target, pooled=pooled) as wire,
        ):
            yield OpenDatabase(Store(database), sharing, wire.tell, wire.start)


async def check_upstream(store: Store, *, simulated: bool) -> None:
    """Keep jobs of the simulator and of real providers apart. Raises `SettingsError`.

    Each would be looked for at the other, and what a listing has shown would be believed of it.
    """
    kept = await store.upstream(SIMULATOR if simulated else PROVIDERS)
    if simulated and kept == PROVIDERS:
        raise SettingsError(
            "This database has jobs of real providers, so it is not used with --simulate; name "
            "another one by REELHOOK_DATA_DIR (--data-dir) or DATABASE_URL"
        )
    if not simulated and kept == SIMULATOR:
        raise SettingsError(
            "This database has jobs of the simulator, so it is not used with real providers; name "
            "another one by REELHOOK_DATA_DIR (--data-dir) or DATABASE_URL"
        )


async def migrate(settings: Settings, steps: int | None = None) -> list[str]:
    """Apply the next `steps` revisions (None: all missing ones); return their names."""
    async with exclusive(settings.database):
        return migrations.migrate(settings.database, steps)


async def rollback(settings: Settings, *, destroy: bool = False) -> str | None:
    """Undo the newest revision; return its name, or None when there is none."""
    async with exclusive(settings.database):
        return migrations.rollback(settings.database, destroy=destroy)


def _made_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def private_keys(settings: Settings) -> tuple[PrivateKey, ...]:
    """Return the keys that sign v1a, the newest first."""
    return tuple(PrivateKey.parse(text) for text in settings.webhook_private_key)


async def signing_secrets(settings: Settings, store: Store) -> Secrets:
    """Return what webhooks are signed with; without a setting, a secret made at first start."""
    if settings.webhook_secret is not None:
        return Secrets(settings.webhook_secret, settings.webhook_secret_previous)
    made = _made_secret()
    secret = await store.key(WEBHOOK_KEY, made)
    if secret == made and sys.stderr.isatty():
        # Shown once, to the person who starts the server; never where a file or a journal keeps it.
        sys.stderr.write(f"No WEBHOOK_SECRET is set, so one was made for receivers: {secret}\n")
    log.info("Webhooks are signed with the secret in the database; `reelhook secret` shows it")
    return Secrets(secret, settings.webhook_secret_previous)


async def webhook_secret(settings: Settings) -> str:
    """Return the secret that webhooks are signed with, making it if there is none yet.

    Reads beside a running server; raises `SettingsError` when the database can't be opened.
    """
    if settings.webhook_secret is not None:
        return settings.webhook_secret
    known = await read_key(settings.database, WEBHOOK_KEY)
    if known is not None:
        return known
    defer_to_host()  # stdout is the command's
    async with exclusive(settings.database):
        migrations.migrate(settings.database)
        async with open_store(settings.database) as database:
            return await Store(database).key(WEBHOOK_KEY, _made_secret())


async def callback_url(settings: Settings, account: str) -> str:
    """Return the address at which an account's provider may call about any of its jobs.

    Raises `SettingsError` for what is no account, or one whose provider sends no webhooks.
    """
    one = next((given for given in settings.credentials if given.id == account), None)
    if one is None:
        there = ", ".join(given.id for given in settings.credentials) or "none"
        raise SettingsError(f"{account} is no account here; there are: {there}")
    if provider_kind(one.provider).notice is HttpProvider.notice:
        raise SettingsError(f"{one.provider} sends no webhooks")
    key = await read_key(settings.database, CALLBACK_KEY)
    if key is None:
        raise SettingsError("The first start makes the addresses: run `reelhook serve` once")
    subject = Subject(SubjectKind.ACCOUNT, account)
    return CallbackAddresses(settings.public_url, key, {}).address(one.provider, subject)


async def operator_key(settings: Settings) -> str | None:
    """Return the key by which a server knows its operator's command line, if it is at hand.

    Whoever can read the database is the operator.
    """
    return await read_key(settings.database, OPERATOR_KEY)
