"""The accounts at providers: adapters found by entry point, opened as the settings say."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from reelhook.config import Credential, Settings
from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.errors import SettingsError
from reelhook.guard.addresses import LookUp
from reelhook.ports import Provider
from reelhook.providers.http.file_access import FileAccess
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.registry import BUILT_IN

GROUP = "reelhook.providers"
"""The entry points by which a package offers a provider; each names a class like `HttpProvider`."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The open accounts, by id, and what models they have together."""

    providers: Mapping[str, Provider]
    catalog: Catalog


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, simulator_url: str | None = None, look_up: LookUp | None = None
) -> AsyncIterator[Accounts]:
    """Open every account until the block ends; with a simulator none of them leaves it.

    `look_up` resolves the names of where files lie.

    Raises `SettingsError`.
    """
    credentials = simulated(simulator_url) if simulator_url else settings.credentials
    if not credentials:
        raise SettingsError(
            "No provider is set: set OPENAI_BASE_URL to a server that speaks /v1/videos, or "
            "another provider's key; docs/settings.md names the settings"
        )
    providers: dict[str, Provider] = {}
    models = {}
    async with contextlib.AsyncExitStack() as stack:
        for one in credentials:
            provider = await stack.enter_async_context(provider_of(one, settings, look_up))
            providers[one.id] = provider
            models[one.provider] = provider.models
        accounts = [
            Account(c.id, c.provider, c.weight, c.jobs_max, c.resubmit_forgotten)
            for c in credentials
        ]
        yield Accounts(providers, Catalog(accounts, models, settings.aliases, installed()))


def provider_of(one: Credential, settings: Settings, look_up: LookUp | None = None) -> HttpProvider:
    """Return an account's provider, to be opened. Raises `SettingsError`."""
    return provider_kind(one.provider)(
        one.base_url,
        one.key,
        headers=one.headers,
        webhook_secret=one.webhook_secret,
        files=FileAccess(one.file_networks, one.file_origins, look_up),
        submit_timeout_seconds=settings.submit_timeout_seconds,
    )


def simulated(simulator_url: str) -> tuple[Credential, ...]:
    """Return an account at the simulator for every built-in provider."""
    return tuple(
        Credential(
            id=one.name,
            provider=one.name,
            key="simulated",
            base_url=f"{simulator_url}/{one.simulated_path}",
        )
        for one in BUILT_IN.values()
    )


def installed() -> dict[str, EntryPoint]:
    """Return all providers by name: those of installed packages, and the built-in ones."""
    built_in = {name: EntryPoint(name, one.adapter, GROUP) for name, one in BUILT_IN.items()}
    return {**{one.name: one for one in entry_points(group=GROUP)}, **built_in}


def provider_kind(name: str) -> type[HttpProvider]:
    """Return a provider's class. Raises `SettingsError`, also for one that can't be loaded."""
    known = installed()
    if name not in known:
        raise SettingsError(
            f"{name} is no provider; there are {', '.join(sorted(known))}, "
            "and packages may add others"
        )
    try:
        kind: type[HttpProvider] = known[name].load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"The provider {name} can't be loaded: {error}") from None
    return kind
