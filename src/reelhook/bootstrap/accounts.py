"""Accounts at providers: adapters found by entry point and opened from the settings."""

import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points

from reelhook.config import Credential, Settings
from reelhook.config.prices import tables, worth
from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.errors import SettingsError
from reelhook.domain.model import Model
from reelhook.guard.addresses import LookUp
from reelhook.ports import Provider
from reelhook.providers.http.file_access import FileAccess
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.registry import BUILT_IN

GROUP = "reelhook.providers"
"""The entry point group of provider packages; each entry names a subclass of `HttpProvider`."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The open accounts by id, and the catalog of their models."""

    providers: Mapping[str, Provider]
    catalog: Catalog


@contextlib.asynccontextmanager
async def open_accounts(
    settings: Settings, simulator_url: str | None = None, look_up: LookUp | None = None
) -> AsyncIterator[Accounts]:
    """Open every account until the block ends. Raises `SettingsError`.

    With `simulator_url`, every account is at the simulator. `look_up` resolves the host names of
    finished files.
    """
    credentials = simulated_accounts(simulator_url) if simulator_url else settings.credentials
    if not credentials:
        raise SettingsError(
            "No provider is configured: set OPENAI_BASE_URL to a server with a /v1/videos API, or "
            "another provider's key; docs/settings.md lists the settings"
        )
    opened: dict[str, HttpProvider] = {}
    models: dict[str, Sequence[Model]] = {}
    async with contextlib.AsyncExitStack() as stack:
        for credential in credentials:
            provider = await stack.enter_async_context(provider_of(credential, settings, look_up))
            opened[credential.id] = provider
            models[credential.provider] = provider.models
        _check_prices(settings)
        accounts = [_account(one, opened[one.id], settings) for one in credentials]
        yield Accounts(opened, Catalog(accounts, models, settings.aliases, installed()))


def _account(credential: Credential, provider: HttpProvider, settings: Settings) -> Account:
    prefixes = (credential.provider, credential.id)
    general = {
        model: table
        for prefix in dict.fromkeys(prefixes)  # what names the account wins
        for name, table in settings.prices.items()
        for owner, _, model in (name.partition("/"),)
        if owner == prefix
    }
    return Account(
        credential.id,
        credential.provider,
        credential.weight,
        credential.jobs_max,
        credential.resubmit_forgotten,
        prices=tables(general | credential.prices, provider.models),
        rates={**provider.rates, **worth(settings.rates | credential.rates)},
    )


async def check_accounts(settings: Settings) -> None:
    """Raise `SettingsError` if an account's settings are wrong. Connects to nothing."""
    async with open_accounts(settings):
        pass


def _check_prices(settings: Settings) -> None:
    """Raise `SettingsError` for a price of a provider or account that does not exist."""
    known = {*installed(), *(credential.id for credential in settings.credentials)}
    for name in settings.prices:
        owner, _, model = name.partition("/")
        if owner not in known or not model:
            raise SettingsError(
                f"REELHOOK_ACCOUNTS_FILE: prices.{name} names no model of a provider; write it "
                "like runway/gen4.5, or runway/* for every model without another price"
            )


def provider_of(
    credential: Credential, settings: Settings, look_up: LookUp | None = None
) -> HttpProvider:
    """Return an account's provider, not yet opened. Raises `SettingsError`."""
    return provider_class(credential.provider)(
        credential.base_url,
        credential.key,
        headers=credential.headers,
        webhook_secret=credential.webhook_secret,
        files=FileAccess(credential.file_networks, credential.file_origins, look_up),
        submit_timeout_seconds=settings.submit_timeout_seconds,
    )


def simulated_accounts(simulator_url: str) -> tuple[Credential, ...]:
    """Return an account at the simulator for every built-in provider."""
    return tuple(
        Credential(
            id=built_in.name,
            provider=built_in.name,
            key="simulated",
            base_url=f"{simulator_url}/{built_in.simulated_path}",
        )
        for built_in in BUILT_IN.values()
    )


def installed() -> dict[str, EntryPoint]:
    """Return all providers by name: those of installed packages, and the built-in ones."""
    packaged = {entry.name: entry for entry in _entry_points(tuple(sys.path))}
    built_in = {
        name: EntryPoint(name, provider.adapter, GROUP) for name, provider in BUILT_IN.items()
    }
    return {**packaged, **built_in}


@lru_cache(maxsize=1)
def _entry_points(_path: tuple[str, ...]) -> EntryPoints:
    """Read them once: for that, all installed packages are looked through."""
    return entry_points(group=GROUP)


def provider_class(name: str) -> type[HttpProvider]:
    """Return a provider's class. Raises `SettingsError` if it is unknown or can't be loaded."""
    providers = installed()
    if name not in providers:
        raise SettingsError(
            f"There is no provider {name}; choose one of {', '.join(sorted(providers))}, "
            "or install a package that adds it"
        )
    try:
        loaded: type[HttpProvider] = providers[name].load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"The provider {name} can't be loaded: {error}") from None
    return loaded
