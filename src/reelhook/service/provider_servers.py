"""The models that servers say they have, beside those whose limits are known."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.errors import ProviderError
from reelhook.ports import Provider, ServedModels

ASKING_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class ProviderServer:
    """One account's server: its models, or why they are not known.

    `called` are the models as a request names them.
    """

    account: Account
    called: tuple[str, ...] = ()
    ignored: bool = False
    title: str = ""
    error: str | None = None


class ProviderServers:
    """The servers of the accounts, as far as they can be asked."""

    def __init__(self, providers: Mapping[str, Provider], catalog: Catalog) -> None:
        self._providers = providers
        self._catalog = catalog

    async def all(self) -> list[ProviderServer]:
        """Ask all of them at once; those that have no such request are left out."""
        found = await asyncio.gather(*(self._one(one) for one in self._catalog.accounts.values()))
        return [one for one in found if one is not None]

    async def _one(self, account: Account) -> ProviderServer | None:
        try:
            async with asyncio.timeout(ASKING_SECONDS_MAX):
                served = await self._providers[account.id].served()
        except ProviderError as error:
            return ProviderServer(account, error=error.message)
        except TimeoutError:
            return ProviderServer(account, error=f"No answer came within {ASKING_SECONDS_MAX:g} s")
        return None if served is None else self._named(account, served)

    def _named(self, account: Account, served: ServedModels) -> ProviderServer:
        # Any account of the provider may get what names the provider alone.
        prefix = account.id if self._catalog.siblings(account.id) else account.provider
        called = tuple(f"{prefix}/{name}" for name in served.names)
        return ProviderServer(account, called, served.ignored, served.title)
