"""Catalog: whose a model is, by the name that a user gives it.

`provider/model` names a provider and what it calls the model; in the provider's place may stand
one account of it. A bare name is an alias, or the model of a configured provider that knows it,
or else one of the default provider. Without a name it is that provider's own to choose.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import VideoRequest
from reelhook.domain.model import Model, check_agreement

DEFAULT_PROVIDER = "openai"


@dataclass(frozen=True, slots=True)
class Account:
    """One credential at one provider. New jobs are shared out by `weight`; 0: only those that
    name the account are its.

    `jobs_max`: how many jobs it may have at the provider at once; None: any number.
    `resubmit_forgotten`: whether jobs are sent again that a restarted server has forgotten.
    """

    id: str
    provider: str
    weight: int = 1
    jobs_max: int | None = None
    resubmit_forgotten: bool = False


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """A model that was chosen: what its provider calls it, and the accounts that can make it.

    `called` is `provider/model`, as users read it; the provider alone where it is to choose.
    `pinned`: the account was named, so that no other may take the job.
    """

    called: str
    provider: str
    model: str
    accounts: tuple[Account, ...]
    limits: Model | None
    pinned: bool = False

    def pick(self, random: Random) -> Account:
        """Return the account that gets the next job, by weight and chance."""
        return random.choices(self.accounts, [max(1, one.weight) for one in self.accounts])[0]

    def check(self, request: VideoRequest) -> None:
        """Raise `InvalidRequestError` for what the model can't do."""
        check_agreement(request)
        if self.limits is not None:
            self.limits.check(request, self.called)


class Catalog:
    """The accounts in their order, the models that their providers list, and the aliases.

    `known` are the providers that there could be accounts of.
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
        """Whose a bare name is that nobody lists."""
        return DEFAULT_PROVIDER if DEFAULT_PROVIDER in self._models else self.providers[0]

    def models(self) -> list[ModelRoute]:
        """Return every model that a configured provider lists."""
        return [
            self.choose(f"{provider}/{name}")
            for provider, models in self._models.items()
            for name in models
        ]

    def choose(self, name: str, field: str = "model") -> ModelRoute:
        """Return whose model this is. Raises `InvalidRequestError`, naming `field`."""
        if not name:
            return self._unnamed(field)
        name = self.aliases.get(name, name)
        prefix, slash, rest = name.partition("/")
        if slash and rest and prefix in self._by_prefix:
            return self._choice(self._by_prefix[prefix], rest, pinned=prefix not in self._models)
        if slash and rest and prefix in self._known:
            raise InvalidRequestError(field, self._unset(prefix, name))
        knowing = [provider for provider, models in self._models.items() if name in models]
        if self.default_provider in knowing or (not knowing and self._takes_any(name)):
            return self._choice(self._by_prefix[self.default_provider], name)
        if len(knowing) == 1:
            return self._choice(self._by_prefix[knowing[0]], name)
        raise InvalidRequestError(field, self._unknown(name, knowing))

    def _unnamed(self, field: str) -> ModelRoute:
        if DEFAULT_PROVIDER not in self._models:
            raise InvalidRequestError(
                field,
                "name a model as provider/model, or set REELHOOK_DEFAULT_MODEL; see "
                "GET /api/models or `reelhook models`",
            )
        return self._choice(self._by_prefix[DEFAULT_PROVIDER], "")

    def _unset(self, provider: str, name: str) -> str:
        """Another provider would make something else of the name, and be paid for it."""
        sentence = f"{provider} has no account here: set its key"
        if DEFAULT_PROVIDER in self._models:
            sentence += f", or write {DEFAULT_PROVIDER}/{name} if that server calls a model so"
        return sentence

    def _takes_any(self, name: str) -> bool:
        """Whether the default provider may know a model that it does not list."""
        return self.default_provider == DEFAULT_PROVIDER and bool(name.strip("/"))

    def _unknown(self, name: str, knowing: Sequence[str]) -> str:
        if knowing:
            names = " or ".join(f"{provider}/{name}" for provider in knowing)
            return f"{name} is a model of several providers; write {names}"
        return (
            f"{name} is no model of {', '.join(self.providers)}; write provider/model, "
            "and see GET /api/models or `reelhook models`"
        )

    def _choice(
        self, accounts: Sequence[Account], model: str, *, pinned: bool = False
    ) -> ModelRoute:
        provider = accounts[0].provider
        sharing = [one for one in accounts if one.weight]
        return ModelRoute(
            called=f"{provider}/{model}" if model else provider,
            provider=provider,
            model=model,
            accounts=tuple(sharing or accounts),
            limits=self._models[provider].get(model),
            pinned=pinned,
        )

    def account(self, name: str | None) -> Account:
        """Return an account, or the first of a provider; None: of the default provider.

        Raises `InvalidRequestError`.
        """
        wanted = self.default_provider if name is None else name
        if wanted in self.accounts:
            return self.accounts[wanted]
        if wanted in self._by_prefix:
            return self._by_prefix[wanted][0]
        raise InvalidRequestError(
            "account", f"{wanted} is no account here; there are {', '.join(self.accounts)}"
        )

    def siblings(self, account_id: str) -> list[str]:
        """Return the other accounts of an account's provider."""
        mine = self.accounts[account_id]
        return [
            one.id
            for one in self.accounts.values()
            if one.provider == mine.provider and one.id != account_id
        ]

    def takes_overflow_of(self, account_id: str) -> list[str]:
        """Return the accounts whose jobs this one may take when they wait too long."""
        if not self.accounts[account_id].weight:
            return []
        return [one for one in self.siblings(account_id) if self.accounts[one].weight]
