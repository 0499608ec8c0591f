"""Opens and migrates the database, and manages the keys kept in it."""

import base64
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from reelhook.bootstrap.accounts import provider_class
from reelhook.config import Settings
from reelhook.core.signing import Secrets
from reelhook.core.wakeups import Publish
from reelhook.domain.callback import CallbackAddresses, Subject, SubjectKind
from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.errors import ProjectNotFoundError, SettingsError
from reelhook.domain.event import Instant
from reelhook.domain.signing_keys import PrivateKey
from reelhook.engine.worker import LEASE_SECONDS, WorkerIdentity
from reelhook.providers.http.provider import HttpProvider
from reelhook.storage import owned
from reelhook.storage.open import (
    exclusive,
    open_notifier,
    open_store,
    read_key,
    read_once,
    wait_until_usable,
)
from reelhook.storage.operations import api_keys
from reelhook.storage.operations.projects import project as project_of
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.sqlite.interruptible import interruptible
from reelhook.storage.store import Store
from reelhook.telemetry.lines import defer_to_host

log = structlog.get_logger()
WEBHOOK_KEY = "webhook"
OPERATOR_KEY = "operator"
CALLBACK_KEY = "callback"
SIMULATOR, PROVIDERS = "simulator", "providers"
"""The two kinds of upstream; a database is used with one of them only."""


async def bring_up_to_date(settings: Settings, *, migrate: bool) -> None:
    """Apply missing revisions. Raises `SettingsError` if there are any and `migrate` is False."""
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
    """An open database, this worker's identity, and the messages between processes on it."""

    store: Store
    identity: WorkerIdentity
    publish: Publish
    listen: Callable[[Callable[[Sequence[str]], None]], None]


def _ignore(_: object) -> None:
    """Do nothing: no other process uses the database."""


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
                await store.free_leases()  # the file's lock proves that no other worker runs
                yield OpenDatabase(store, WorkerIdentity(worker), _ignore, _ignore)
    else:
        pooled = not settings.wake_ups
        await wait_until_usable(target, pooled=pooled, seconds=settings.database_wait_seconds)
        async with exclusive(target):
            await bring_up_to_date(settings, migrate=migrate)
        identity = WorkerIdentity(worker, LEASE_SECONDS)
        async with (
            open_store(target, pooled=pooled) as database,
            open_notifier(target, pooled=pooled) as notifier,
        ):
            yield OpenDatabase(Store(database), identity, notifier.publish, notifier.start)


async def check_upstream(store: Store, *, simulated: bool) -> None:
    """Keep jobs of the simulator and of real providers apart. Raises `SettingsError`.

    Otherwise a job of one kind would be looked up at the other, and counted as lost.
    """
    upstream = await store.upstream(SIMULATOR if simulated else PROVIDERS)
    if simulated and upstream == PROVIDERS:
        raise SettingsError(
            "This database has jobs of real providers, so it can't be used with --simulate; choose "
            "another with REELHOOK_DATA_DIR (--data-dir) or DATABASE_URL"
        )
    if not simulated and upstream == SIMULATOR:
        raise SettingsError(
            "This database has jobs of the simulator, so it can't be used with real providers; "
            "choose another with REELHOOK_DATA_DIR (--data-dir) or DATABASE_URL"
        )


async def migrate(settings: Settings, steps: int | None = None) -> list[str]:
    """Apply the next `steps` revisions (None: all that are missing). Return their names."""
    async with exclusive(settings.database):
        return migrations.migrate(settings.database, steps)


async def rollback(settings: Settings, *, destroy: bool = False) -> str | None:
    """Undo the newest revision. Return its name, or None if there is none."""
    async with exclusive(settings.database):
        return migrations.rollback(settings.database, destroy=destroy)


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def private_keys(settings: Settings) -> tuple[PrivateKey, ...]:
    """Return the Ed25519 keys that sign webhooks, the newest first."""
    return tuple(PrivateKey.parse(text) for text in settings.webhook_private_key)


async def signing_secrets(settings: Settings, store: Store) -> Secrets:
    """Return the secrets that sign webhooks; without a setting, one is generated and stored."""
    if settings.webhook_secret is not None:
        return Secrets(settings.webhook_secret, settings.webhook_secret_previous)
    new = _new_secret()
    secret = await store.key(WEBHOOK_KEY, new)
    if secret == new and sys.stderr.isatty():
        # Shown once, to a person at a terminal, and never written to a file or a journal.
        sys.stderr.write(f"No WEBHOOK_SECRET is set, so one was generated: {secret}\n")
    log.info("Webhooks are signed with the secret in the database; `reelhook secret` shows it")
    return Secrets(secret, settings.webhook_secret_previous)


async def webhook_secret(settings: Settings, project: str | None = None) -> str:
    """Return the secret that signs a project's webhooks (None: those of `default`).

    That of `default` is generated if there is none yet. Works while a server runs. Raises
    `SettingsError` if the database can't be opened, or `ProjectNotFoundError`.
    """
    if project not in {None, DEFAULT_PROJECT}:
        return await _project_secret(settings, project)
    if settings.webhook_secret is not None:
        return settings.webhook_secret
    stored = await read_key(settings.database, WEBHOOK_KEY)
    if stored is not None:
        return stored
    defer_to_host()  # stdout is the command's
    async with exclusive(settings.database):
        migrations.migrate(settings.database)
        async with open_store(settings.database) as database:
            return await Store(database).key(WEBHOOK_KEY, _new_secret())


async def _project_secret(settings: Settings, id_or_name: str) -> str:
    found = await read_once(settings.database, partial(project_of, id_or_name))
    if found is None or found.secret is None:  # its data was deleted
        raise ProjectNotFoundError(id_or_name)
    return found.secret


async def callback_url(settings: Settings, account: str) -> str:
    """Return the callback address to register for an account at its provider.

    Raises `SettingsError` if the account does not exist, or its provider sends no webhooks.
    """
    accounts = {credential.id: credential for credential in settings.credentials}
    if account not in accounts:
        existing = ", ".join(accounts) or "none"
        raise SettingsError(f"There is no account {account}; the accounts are: {existing}")
    provider = accounts[account].provider
    if provider_class(provider).notice is HttpProvider.notice:
        raise SettingsError(f"{provider} sends no webhooks")
    key = await read_key(settings.database, CALLBACK_KEY)
    if key is None:
        raise SettingsError(
            "The key of callback addresses does not exist yet; run `reelhook serve` once, which "
            "generates it"
        )
    subject = Subject(SubjectKind.ACCOUNT, account)
    return CallbackAddresses(settings.public_url, key, {}).address(provider, subject)


async def check_exposure(settings: Settings, now: Instant) -> None:
    """Raise `SettingsError` if others could reach the server, and would need no key.

    Nothing is created for it. A PostgreSQL database that is not up yet is awaited.
    """
    if not settings.exposed:
        return
    if not isinstance(settings.database, Path):
        pooled, seconds = not settings.wake_ups, settings.database_wait_seconds
        await wait_until_usable(settings.database, pooled=pooled, seconds=seconds)
    settings.check_exposure(has_key=await has_valid_key(settings, now))


async def has_valid_key(settings: Settings, now: Instant) -> bool:
    """Return True if the database has a project's key that is accepted now.

    Works while a server runs. False if there is no such database yet, or it can't be read.
    """
    try:
        return bool(await owned.read(settings.database, api_keys.any_valid(now)))
    except SettingsError:
        return False


async def operator_key(settings: Settings) -> str | None:
    """Return the key by which a server recognises its operator, or None if there is none.

    Anyone who can read the database is the operator.
    """
    return await read_key(settings.database, OPERATOR_KEY)
