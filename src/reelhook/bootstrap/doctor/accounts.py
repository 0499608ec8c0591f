"""Checks the key of each account with a request that costs nothing."""

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
    "use it for this installation only: a video that another program creates with it looks like "
    "one whose create was lost"
)
_GONE = "api.openai.com"


async def accounts(
    settings: Settings, http: ClientSession, now: Callable[[], float]
) -> list[Finding]:
    """Check all accounts concurrently, then the default model and the aliases."""
    served: Served = {}
    per_account = await asyncio.gather(
        *(_account(credential, settings, http, now, served) for credential in settings.credentials)
    )
    checked = [finding for findings in per_account for finding in findings]
    return [*checked, *models(settings, served)]


async def _account(
    credential: Credential,
    settings: Settings,
    http: ClientSession,
    now: Callable[[], float],
    served: Served,
) -> list[Finding]:
    subject = f"account {credential.id}"
    if URL(credential.base_url or "").host == _GONE and credential.provider == "openai":
        return [
            failed(
                subject,
                f"{_GONE} has not served /v1/videos since 2026-09-24; set OPENAI_BASE_URL to "
                "another server",
            )
        ]
    try:
        provider = provider_of(credential, settings)
    except SettingsError as error:
        return [failed(subject, error.message)]
    async with provider:
        base = provider.base
        listed = provider.traits.page_size_max > 0
        key, times = await asyncio.gather(_key(subject, provider.check), _times(http, base, now))
        advice = await _advice(subject, credential, provider) if key.verdict is Severity.OK else []
        if key.verdict is Severity.OK:
            served[credential.id] = await _served(provider)
    host = base.host if base.explicit_port is None else f"{base.host}:{base.explicit_port}"
    alone = [ok(f"key of {subject}", _ALONE)] if listed and key.verdict is Severity.OK else []
    findings = [key, *advice, *alone]
    return findings if times is None else [*findings, clock(str(host), *times)]


async def _advice(subject: str, credential: Credential, provider: HttpProvider) -> list[Finding]:
    findings = [warning(subject, advice.message) for advice in await provider.advice()]
    if credential.resubmit_forgotten and not await provider.forgets_when_restarted():
        message = "resubmit_forgotten has no effect: this server is not known to lose jobs"
        findings.append(warning(subject, message))
    return findings


async def _served(provider: HttpProvider) -> ServedModels | None:
    try:
        return await provider.served()
    except ProviderError:
        return None


async def _key(subject: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            details = await check()
    except CheckUnsupportedError as error:
        return warning(subject, f"was not checked: {error.message}")
    except AccountEmptyError as error:
        return failed(subject, f"can't pay for jobs: {error.message}")
    except ProviderUnauthorizedError as error:
        return failed(subject, f"its key is refused: {error.message}; set a valid key")
    except ServerUnfitError as error:
        return failed(subject, error.message)
    except (ProviderError, TimeoutError) as error:
        reason = error.message if isinstance(error, ProviderError) else "no response in time"
        return failed(
            subject, f"{reason}; check its base URL, and that this machine can reach the server"
        )
    return ok(subject, f"its key works: {details}")


async def _times(
    http: ClientSession, base: URL, now: Callable[[], float]
) -> tuple[float, float] | None:
    """Return a server's time and ours when it responded; None if it sends no date.

    Both are in Unix seconds. No key is sent.
    """
    try:
        async with http.head(
            base, allow_redirects=False, timeout=ClientTimeout(total=DATE_SECONDS_MAX)
        ) as response:
            local = now()
            date = parsedate_to_datetime(response.headers["Date"]).timestamp()
            return date + float(response.headers.get("Age", 0)), local  # a cached one is older
    except (ClientError, TimeoutError, OSError, KeyError, ValueError):
        return None
