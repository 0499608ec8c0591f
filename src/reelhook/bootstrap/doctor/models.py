"""Checks that the default model and the aliases name models that the servers have."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from reelhook.bootstrap.accounts import installed, provider_class
from reelhook.bootstrap.doctor.finding import Finding, ok, warning
from reelhook.config import Settings
from reelhook.domain.catalog import Account, Catalog, ModelRoute
from reelhook.domain.errors import InvalidRequestError, SettingsError
from reelhook.ports import ServedModels

NAMES_MAX = 5
"""The most models of a server that a message names."""
UNSET = (
    "is not set, so each request must name a model, as provider/model; "
    "set REELHOOK_DEFAULT_MODEL for requests that name none"
)
Served = dict[str, ServedModels | None]
"""The models that the servers of accounts report, by account id."""


def models(settings: Settings, served: Mapping[str, ServedModels | None]) -> list[Finding]:
    """Check the default model, and the model of each alias."""
    try:
        models_of = {
            credential.provider: provider_class(credential.provider).models
            for credential in settings.credentials
        }
    except SettingsError:
        return []  # the check of the account reports it
    accounts = [Account(credential.id, credential.provider) for credential in settings.credentials]
    if not accounts:
        return []
    catalog = Catalog(accounts, models_of, settings.aliases, installed())
    name = settings.default_model
    findings = [_model(catalog, served, "default model", name or "", chosen=name is not None)]
    for alias, model in settings.aliases.items():
        findings.append(_model(catalog, served, f"alias {alias}", model, chosen=True))
    return findings


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
        return warning(subject, error.message if chosen else UNSET)
    reported = [
        server for account in choice.accounts if (server := served.get(account.id)) and server.names
    ]
    if not reported:
        own = f"is the default of the {choice.display_name} server"
        return ok(subject, f"is {choice.display_name}" if name else own)
    return _of_servers(subject, choice, reported, chosen=chosen)


def _of_servers(
    subject: str, choice: ModelRoute, reported: list[ServedModels], *, chosen: bool
) -> Finding:
    names = list(dict.fromkeys(name for server in reported for name in server.names))
    if all(server.ignored for server in reported):
        titles = " and ".join(dict.fromkeys(server.title for server in reported))
        return ok(
            subject, f"is {_list(names)}: {titles} always uses it, whichever model a request names"
        )
    if not chosen and len(names) == 1:
        return ok(subject, f"is {choice.provider}/{names[0]}, the only model of its server")
    if chosen and any(fnmatchcase(choice.model, name) for name in names):
        return ok(subject, f"is {choice.display_name}")
    if not chosen:
        return warning(
            subject,
            f"is not set, and the server has {_list(names)}; set REELHOOK_DEFAULT_MODEL to one of "
            "them",
        )
    return warning(subject, f"the server has no model {choice.display_name}; it has {_list(names)}")


def _list(names: list[str]) -> str:
    more = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
