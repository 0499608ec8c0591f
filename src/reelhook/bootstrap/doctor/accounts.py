"""Accounts: does each key open its provider, by a request that costs nothing?"""

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from reelhook.bootstrap.accounts import provider_of
from reelhook.bootstrap.doctor.finding import Finding, Severity, failed, ok, warning
from reelhook.bootstrap.doctor.local_checks import clock
from reelhook.bootstrap.doctor.models import Served, models
from reelhook.config import Credential, Settings
from reelhook.domain.errors import (
    AccountEmptyError,
    CheckUnsupportedError,
    ProviderError,
    ProviderUnauthorizedError,
    ServerUnfitError,
    SettingsError,
)
from reelhook.ports import ServedModels
from reelhook.providers.http.provider import HttpProvider

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
    served: Served = {}
    found = await asyncio.gather(
        *(_account(one, settings, http, now, served) for one in settings.credentials)
    )
    judged = [finding for findings in found for finding in findings]
    return [*judged, *models(settings, served)]


async def _account(
    one: Credential,
    settings: Settings,
    http: ClientSession,
    now: Callable[[], float],
    served: Served,
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
        advice = await _advice(subject, one, provider) if key.verdict is Severity.OK else []
        if key.verdict is Severity.OK:
            served[one.id] = await _served(provider)
    host = base.host if base.explicit_port is None else f"{base.host}:{base.explicit_port}"
    alone = [ok(f"key of {subject}", _ALONE)] if listed and key.verdict is Severity.OK else []
    found = [key, *advice, *alone]
    return found if theirs is None else [*found, clock(str(host), theirs, now())]


async def _advice(subject: str, one: Credential, provider: HttpProvider) -> list[Finding]:
    found = [warning(subject, advice.message) for advice in await provider.advice()]
    if one.resubmit_forgotten and not await provider.forgets_when_restarted():
        words = "resubmit_forgotten does nothing here: the server is none that is known to forget"
        found.append(warning(subject, words))
    return found


async def _served(provider: HttpProvider) -> ServedModels | None:
    try:
        return await provider.served()
    except ProviderError:
        return None


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
    except ServerUnfitError as error:
        return failed(subject, error.message)
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
