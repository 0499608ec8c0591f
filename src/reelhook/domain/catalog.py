"""The catalog of models: finds the provider and the accounts for a name that a user gives.

`provider/model` is a provider and its own name for the model. An account's name may replace the
provider's. A bare name is an alias, a model that a configured provider lists, or else a model of
the default provider. Without a name, the default provider chooses.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import Model, check_agreement
from reelhook.domain.price import ModelPrice, Price
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest

DEFAULT_PROVIDER = "openai"
ANY_MODEL = "*"
"""The name of a price for every model that has no other."""


@dataclass(frozen=True, slots=True)
class Account:
    """One credential at one provider.

    New jobs are distributed by `weight`; an account of weight 0 gets only jobs that name it.
    `jobs_max` limits its unfinished jobs at the provider; None: no limit. If `resubmit_forgotten`
    is True, jobs that a restarted server has forgotten are sent again. `prices` are the operator's
    price tables by model, and `rates` the worth of one of the provider's units.
    """

    id: str
    provider: str
    weight: int = 1
    jobs_max: int | None = None
    resubmit_forgotten: bool = False
    prices: Mapping[str, ModelPrice] = field(default_factory=dict, hash=False)
    rates: Mapping[str, Price] = field(default_factory=dict, hash=False)

    def price_of(self, name: str, model: Model | None) -> ModelPrice | None:
        """Return the price table of a model here; None: not known. `model` has its limits.

        The operator's table wins: that of a version, then that of its model. The operator's `*` is
        for models that have no other.
        """
        of_model = None if model is None else self.prices.get(model.name, model.price)
        return self.prices.get(name, of_model or self.prices.get(ANY_MODEL))

    def rate_of(self, unit: str, table: ModelPrice | None) -> Price | None:
        """Return the worth of one unit of a price or a charge; None: not known."""
        return self.rates.get(unit, table.rates.get(unit) if table is not None else None)


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """The provider's name for a model, and the accounts that can create a job with it.

    `display_name` is `provider/model`, or the provider alone if it chooses the model. `pinned`: the
    request named the account, so no other may take the job. `takes_sizes`: False if the model takes
    none, or if its limits are not known and no listed model of the provider takes any.
    """

    display_name: str
    provider: str
    model: str
    accounts: tuple[Account, ...]
    limits: Model | None
    pinned: bool = False
    takes_sizes: bool = True

    def pick(self, random: Random) -> Account:
        """Return an account for the next job, at random by weight."""
        if len(self.accounts) == 1:
            return self.accounts[0]
        weights = [max(1, account.weight) for account in self.accounts]
        return random.choices(self.accounts, weights)[0]

    def check(self, request: VideoRequest) -> None:
        """Raise `InvalidRequestError` if the model can't fulfil the request."""
        check_agreement(request)
        if self.limits is not None:
            self.limits.check(request, self.display_name)


class Catalog:
    """The accounts in their order, the models that their providers list, and the aliases.

    `known` has all installed providers, with or without an account.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        models: Mapping[str, Sequence[Model]],
        aliases: Mapping[str, str],
        known: Collection[str] = (),
    ) -> None:
        self._known = known
        self.accounts = {account.id: account for account in accounts}
        self.aliases = dict(aliases)
        self._by_prefix: dict[str, list[Account]] = {}
        for account in accounts:
            self._by_prefix.setdefault(account.provider, []).append(account)
        for account in accounts:
            self._by_prefix.setdefault(account.id, [account])
        self._models = {
            provider: {model.name: model for model in models.get(provider, ())}
            for provider in dict.fromkeys(account.provider for account in accounts)
        }

    @property
    def providers(self) -> tuple[str, ...]:
        """The configured providers, in the order of their accounts."""
        return tuple(self._models)

    @property
    def default_provider(self) -> str:
        """The provider of a bare name that no provider lists."""
        return DEFAULT_PROVIDER if DEFAULT_PROVIDER in self._models else self.providers[0]

    def models(self) -> list[ModelRoute]:
        """Return every model that a configured provider lists."""
        return [
            self.choose(f"{provider}/{name}")
            for provider, models in self._models.items()
            for name in models
        ]

    def choose(self, name: str, field: str = "model") -> ModelRoute:
        """Return the route for a model's name. Raises `InvalidRequestError`, naming `field`."""
        if not name:
            return self._unnamed(field)
        name = self.aliases.get(name, name)
        prefix, slash, rest = name.partition("/")
        if slash and rest and prefix in self._by_prefix:
            return self._route(self._by_prefix[prefix], rest, pinned=prefix not in self._models)
        if slash and rest and prefix in self._known:
            raise self._unset(field, prefix, name)
        listed_by = tuple(provider for provider, models in self._models.items() if name in models)
        if self.default_provider in listed_by or (not listed_by and self._takes_any(name)):
            return self._route(self._by_prefix[self.default_provider], name)
        if len(listed_by) == 1:
            return self._route(self._by_prefix[listed_by[0]], name)
        if listed_by:
            names = tuple(f"{provider}/{name}" for provider in listed_by)
            raise InvalidRequestError(field, Problem.MODEL_AMBIGUOUS, value=name, names=names)
        problem = Problem.MODEL_UNKNOWN
        raise InvalidRequestError(field, problem, value=name, providers=self.providers)

    def routes(self, request: VideoRequest, account: str | None = None) -> list[ModelRoute]:
        """Return the routes of a request: its model's, then its fallbacks'.

        If `account` is given, that account alone may create the job, with the model as it is.
        Raises `InvalidRequestError` if one of the models is unknown or can't fulfil the request.
        """
        if account is not None:
            return [self._route([self.account(account)], request.model, pinned=True)]
        first = self.choose(request.model)
        first.check(request)
        routes = [first]
        for name in request.fallbacks:
            routes.append(self.choose(name, "fallbacks"))
            routes[-1].check(request)
        return routes

    def _unnamed(self, field: str) -> ModelRoute:
        if DEFAULT_PROVIDER not in self._models:
            raise InvalidRequestError(field, Problem.MODEL_UNNAMED)
        return self._route(self._by_prefix[DEFAULT_PROVIDER], "")

    def _unset(self, field: str, provider: str, name: str) -> InvalidRequestError:
        """Return the error for a provider without an account: no other may take its place."""
        if DEFAULT_PROVIDER not in self._models:
            return InvalidRequestError(field, Problem.PROVIDER_UNSET, provider=provider)
        return InvalidRequestError(
            field,
            Problem.PROVIDER_UNSET_OR_MODEL,
            provider=provider,
            instead=f"{DEFAULT_PROVIDER}/{name}",
        )

    def _takes_any(self, name: str) -> bool:
        """Return True if the default provider may know a model that it does not list."""
        return self.default_provider == DEFAULT_PROVIDER and bool(name.strip("/"))

    def _route(
        self, accounts: Sequence[Account], model: str, *, pinned: bool = False
    ) -> ModelRoute:
        provider = accounts[0].provider
        weighted = [account for account in accounts if account.weight]
        limits = self._limits(provider, model)
        alike = self._models[provider].values() if limits is None else (limits,)
        return ModelRoute(
            display_name=f"{provider}/{model}" if model else provider,
            provider=provider,
            model=model,
            accounts=tuple(weighted or accounts),
            limits=limits,
            pinned=pinned,
            takes_sizes=not alike or any(one.sizes != () for one in alike),
        )

    def _limits(self, provider: str, model: str) -> Model | None:
        """Return the limits of a listed model, also for one of its versions: `name:version`."""
        listed = self._models[provider]
        return listed.get(model) or listed.get(model.partition(":")[0])

    def account(self, name: str | None) -> Account:
        """Return an account by its name or its provider's; None: the default provider's first.

        Raises `InvalidRequestError`.
        """
        wanted = self.default_provider if name is None else name
        if wanted in self.accounts:
            return self.accounts[wanted]
        if wanted in self._by_prefix:
            return self._by_prefix[wanted][0]
        problem, allowed = Problem.UNKNOWN_ACCOUNT, tuple(self.accounts)
        raise InvalidRequestError("account", problem, value=wanted, allowed=allowed)

    def in_currency(self, price: Price, account_id: str, model: str) -> Price:
        """Return a price or a charge of a job in a currency; unchanged if no rate is known."""
        account = self.accounts.get(account_id)
        if account is None:
            return price
        table = account.price_of(model, self._limits(account.provider, model))
        rate = account.rate_of(price.unit, table)
        return price if rate is None else price.at(rate)

    def rate(self, provider: str, model: str, unit: str) -> Price | None:
        """Return the worth of a unit at all accounts of a provider; None if they differ."""
        accounts = [one for one in self.accounts.values() if one.provider == provider]
        limits = self._limits(provider, model) if accounts else None
        rates = {one.rate_of(unit, one.price_of(model, limits)) for one in accounts}
        return rates.pop() if len(rates) == 1 else None

    def siblings(self, account_id: str) -> list[str]:
        """Return the other accounts of the same provider."""
        provider = self.accounts[account_id].provider
        return [
            account.id
            for account in self.accounts.values()
            if account.provider == provider and account.id != account_id
        ]

    def takes_overflow_of(self, account_id: str) -> list[str]:
        """Return the accounts whose jobs this one may take if they wait too long."""
        if not self.accounts[account_id].weight:
            return []
        return [other for other in self.siblings(account_id) if self.accounts[other].weight]
