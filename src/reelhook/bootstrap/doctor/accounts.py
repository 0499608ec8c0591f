"""Accounts: does each key open its provider, by a request that costs nothing?"""

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from reelhook.bootstrap.accounts import installed, provider_kind, provider_of
from reelhook.bootstrap.doctor.finding import Finding, Verdict, failed, ok, warning
from reelhook.bootstrap.doctor.surroundings import clock
from reelhook.config import Credential, Settings
from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.errors import (
    AccountEmptyError,
    CheckUnsupportedError,
    InvalidRequestError,
    ProviderError,
    ProviderUnauthorizedError,
    SettingsError,
)

DATE_SECONDS_MAX = 10.0
CHECK_SECONDS_MAX = 30.0
_ALONE = (
    "use it for this installation only: a video that another program creates with it can't be "
    "told from one whose create was lost"
)
_GONE = "api.openai.com"


async def accounts(
    settings: Settings, http: ClientSession, now: Callable[[], float]
) -> list[Finding]:
    """Judge every account, all at once, and the model that is used where none is named."""
    found = await asyncio.gather(
        *(_account(one, settings, http, now) for one in settings.credentials)
    )
    judged = [finding for findings in found for finding in findings]
    return [*judged, *_default_model(settings)]


async def _account(
    one: Credential, settings: Settings, http: ClientSession, now: Callable[[], float]
) -> list[Finding]:
    subject = f"account {one.id}"
    if URL(one.base_url or "").host == _GONE and one.provider == "openai":
        return [
            failed(
                subject,
                f"{_GONE} has had no /v1/videos since 2026-09-24; set OPENAI_BASE_URL to another "
                "server that speaks it",
            )
        ]
    try:
        provider = provider_of(one, settings)
    except SettingsError as error:
        return [failed(subject, error.message)]
    async with provider:
        base = provider.base
        listed = provider.traits.page_size_max > 0
        key, theirs = await asyncio.gather(_key(subject, provider.check), _date(http, base))
    host = base.host if base.explicit_port is None else f"{base.host}:{base.explicit_port}"
    found = (
        [key, ok(f"key of {subject}", _ALONE)] if listed and key.verdict is Verdict.OK else [key]
    )
    return found if theirs is None else [*found, clock(str(host), theirs, now())]


async def _key(subject: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            told = await check()
    except CheckUnsupportedError as error:
        return warning(subject, f"was not asked: {error.message}")
    except AccountEmptyError as error:
        return failed(subject, f"its account can't pay: {error.message}")
    except ProviderUnauthorizedError as error:
        return failed(subject, f"its key is refused: {error.message}; set another")
    except (ProviderError, TimeoutError) as error:
        words = error.message if isinstance(error, ProviderError) else "no answer came in time"
        return failed(subject, f"{words}; is its base URL right, and can this machine reach it?")
    return ok(subject, f"its key works: {told}")


async def _date(http: ClientSession, base: URL) -> float | None:
    """Return what time a server has, in Unix seconds; None where it does not tell. No key goes."""
    try:
        async with http.head(
            base, allow_redirects=False, timeout=ClientTimeout(total=DATE_SECONDS_MAX)
        ) as response:
            moment = parsedate_to_datetime(response.headers["Date"]).timestamp()
            return moment + float(response.headers.get("Age", 0))  # a cache's answer is older
    except (ClientError, TimeoutError, OSError, KeyError, ValueError):
        return None


def _default_model(settings: Settings) -> list[Finding]:
    """Tell whether requests without a model find one, and aliases theirs."""
    try:
        models = {one.provider: provider_kind(one.provider).models for one in settings.credentials}
    except SettingsError:
        return []  # said of the account
    given = [Account(one.id, one.provider) for one in settings.credentials]
    if not given:
        return []
    catalog = Catalog(given, models, settings.aliases, installed())
    found = []
    for subject, name in [
        ("default model", settings.default_model),
        *((f"alias {alias}", model) for alias, model in settings.aliases.items()),
    ]:
        try:
            found.append(ok(subject, f"is {catalog.choose(name).called}"))
        except InvalidRequestError as error:
            found.append(warning(subject, error.message))
    return found
