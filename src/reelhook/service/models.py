"""The use cases for models: those with known limits, and those that servers list."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.errors import ProviderError
from reelhook.domain.job import Job, Status
from reelhook.domain.model_mark import unmarked
from reelhook.domain.price import Price
from reelhook.domain.pricing import estimate_on, estimate_unconverted
from reelhook.domain.request import VideoRequest, check_request
from reelhook.ports import Provider, ServedModels
from reelhook.service.model_advice import advising

SERVER_SECONDS_MAX = 10.0
"""The longest time that an account's server may take to list its models."""


@dataclass(frozen=True, slots=True)
class ProviderServer:
    """One account's server: its models, as a request names them, or the error of listing them.

    `ignored`: the server ignores the requested model. `title`: the vendor's name for its model.
    """

    account: Account
    models: tuple[str, ...] = ()
    ignored: bool = False
    title: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """The price of a request with one of its models; None: not known.

    `price` is in a currency if a rate is known; `unconverted` is in the unit of the price table.
    """

    model: str
    price: Price | None
    unconverted: Price | None


class Models:
    """The models of the accounts."""

    def __init__(self, providers: Mapping[str, Provider], catalog: Catalog) -> None:
        self._providers = providers
        self._catalog = catalog

    def catalog(self, caller: Caller) -> Catalog:
        """Return the accounts, the models whose limits are known, and their aliases."""
        caller.require(Scope.READ)
        return self._catalog

    def name_of(self, caller: Caller, job: Job) -> str:
        """Return a job's model as a request names it; empty if its provider chooses one.

        The caller has read the job. A job that waits for its create may name none. It gets the only
        model of its server then, as far as that is known. Sends nothing.
        """
        caller.require(Scope.READ)
        model, provider = job.model, self._providers.get(job.account)
        if not model and job.status is Status.ACCEPTED and provider is not None:
            prepared = provider.prepared(VideoRequest(prompt=""), job.id)
            model, _ = unmarked(prepared.model)
        return f"{job.provider}/{model}" if model else ""

    def estimate(self, caller: Caller, request: VideoRequest) -> list[ModelEstimate]:
        """Return the price of a request with its model, then with each of its fallbacks.

        Nothing is stored or sent. Raises `InvalidRequestError` for a request that no job could
        be created for, or `ModelNotAllowedError`.
        """
        caller.require(Scope.READ)
        check_request(request)
        with advising(caller, self._catalog, request):
            routes = self._catalog.routes(request)
        for route in routes:
            caller.check_model(route.display_name)
        return [
            ModelEstimate(
                route.display_name,
                estimate_on(route, request),
                estimate_unconverted(route, request),
            )
            for route in routes
        ]

    async def servers(self, caller: Caller) -> list[ProviderServer]:
        """Ask all servers at once for their models. Accounts that can't list them are left out.

        The error of a server is for the operator alone.
        """
        caller.require(Scope.READ)
        accounts = self._catalog.accounts.values()
        found = await asyncio.gather(*(self._server(account) for account in accounts))
        servers = [server for server in found if server is not None]
        if caller.allows(Scope.OPERATOR):
            return servers
        return [server for server in servers if server.error is None]

    async def _server(self, account: Account) -> ProviderServer | None:
        try:
            async with asyncio.timeout(SERVER_SECONDS_MAX):
                served = await self._providers[account.id].served()
        except ProviderError as error:
            return ProviderServer(account, error=error.message)
        except TimeoutError:
            message = f"No response came within {SERVER_SECONDS_MAX:g} s"
            return ProviderServer(account, error=message)
        return None if served is None else self._named(account, served)

    def _named(self, account: Account, served: ServedModels) -> ProviderServer:
        # A request that names only the provider may go to any account of the provider.
        prefix = account.id if self._catalog.siblings(account.id) else account.provider
        models = tuple(f"{prefix}/{name}" for name in served.names)
        return ProviderServer(account, models, served.ignored, served.title)
