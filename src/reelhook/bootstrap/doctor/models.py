"""Models: does a request without one find one, do aliases, and do the servers have them?"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from reelhook.bootstrap.accounts import installed, provider_kind
from reelhook.bootstrap.doctor.finding import Finding, ok, warning
from reelhook.config import Settings
from reelhook.domain.catalog import Account, Catalog, ModelRoute
from reelhook.domain.errors import InvalidRequestError, SettingsError
from reelhook.ports import ServedModels

NAMES_MAX = 5
"""How many models of a server a sentence names."""
Served = dict[str, ServedModels | None]
"""What the servers of accounts say they have, by the accounts' ids."""


def models(settings: Settings, served: Mapping[str, ServedModels | None]) -> list[Finding]:
    """Tell whether requests without a model find one, and aliases theirs."""
    try:
        known = {one.provider: provider_kind(one.provider).models for one in settings.credentials}
    except SettingsError:
        return []  # said of the account
    given = [Account(one.id, one.provider) for one in settings.credentials]
    if not given:
        return []
    catalog = Catalog(given, known, settings.aliases, installed())
    name = settings.default_model
    found = [_model(catalog, served, "default model", name or "", chosen=name is not None)]
    for alias, model in settings.aliases.items():
        found.append(_model(catalog, served, f"alias {alias}", model, chosen=True))
    return found


def _model(
    catalog: Catalog,
    served: Mapping[str, ServedModels | None],
    subject: str,
    name: str,
    *,
    chosen: bool,
) -> Finding:
    try:
        choice = catalog.choose(name)
    except InvalidRequestError as error:
        return warning(subject, error.message)
    told = [one for account in choice.accounts if (one := served.get(account.id)) and one.names]
    if not told:
        own = "" if name else " server's own"
        return ok(subject, f"is {'' if name else 'the '}{choice.display_name}{own}")
    return _of_servers(subject, choice, told, chosen=chosen)


def _of_servers(
    subject: str, choice: ModelRoute, told: list[ServedModels], *, chosen: bool
) -> Finding:
    names = list(dict.fromkeys(name for one in told for name in one.names))
    if all(one.ignored for one in told):
        titles = " and ".join(dict.fromkeys(one.title for one in told))
        return ok(subject, f"is {_list(names)}: {titles} renders with it, whatever is named")
    if not chosen and len(names) == 1:
        return ok(subject, f"is {choice.provider}/{names[0]}, the only one of its server")
    if chosen and any(fnmatchcase(choice.model, name) for name in names):
        return ok(subject, f"is {choice.display_name}")
    if not chosen:
        return warning(
            subject,
            f"is not set, and the server has {_list(names)}; set REELHOOK_DEFAULT_MODEL to one",
        )
    return warning(subject, f"{choice.display_name} is none of the server's: it has {_list(names)}")


def _list(names: list[str]) -> str:
    more = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
