"""`reelhook doctor`: finds faults of an installation before a job fails because of them.

It starts no loops, takes no lock, changes nothing and costs nothing.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, DummyCookieJar

from reelhook.bootstrap.database import has_valid_key
from reelhook.bootstrap.doctor.accounts import accounts
from reelhook.bootstrap.doctor.archive import archive
from reelhook.bootstrap.doctor.encryption import encryption
from reelhook.bootstrap.doctor.files import files
from reelhook.bootstrap.doctor.finding import Finding, Severity, failed, ok
from reelhook.bootstrap.doctor.local_checks import authorities, database, secret, variables
from reelhook.bootstrap.doctor.network_checks import receiver, server
from reelhook.bootstrap.doctor.proxy_checks import proxies
from reelhook.config import Settings
from reelhook.domain.errors import SettingsError
from reelhook.domain.event import Instant
from reelhook.telemetry.lines import hider

__all__ = ["Finding", "Severity", "examine"]


async def examine(
    *,
    send: bool = False,
    env_file: Path | None = Path(".env"),
    environment: Mapping[str, str] = os.environ,
    now: Callable[[], float] = time.time,
    **overrides: Any,
) -> list[Finding]:
    """Check the installation with these settings. `send`: send a test event to WEBHOOK_URL.

    `now` returns Unix seconds; `overrides` go to `Settings.load`. No finding shows a secret.
    """
    try:
        settings = Settings.load(env_file=env_file, **overrides)
        hide = hider(settings.secrets)
    except SettingsError as error:
        return [failed("settings", error.message), *variables(env_file, environment, None)]
    findings = variables(env_file, environment, settings) + authorities(env_file, environment)
    async with ClientSession(cookie_jar=DummyCookieJar()) as http:
        (
            of_database,
            of_secrets,
            of_accounts,
            of_files,
            (of_archive, of_receiver),
            ((running, of_server), of_proxies),
        ) = await asyncio.gather(
            database(settings, now),
            _secrets(settings),
            accounts(settings, http, now),
            files(settings),
            asyncio.gather(archive(settings), receiver(settings, http, send=send)),
            asyncio.gather(server(settings, http), proxies(settings, http)),
        )
    findings = [
        await _startable(settings, round(now() * 1000), running=running),
        *findings,
        *of_database,
        *of_secrets,
        *of_accounts,
    ]
    findings += [*of_files, of_archive, of_receiver, *of_server, *of_proxies]
    return [replace(finding, message=hide(finding.message)) for finding in findings]


async def _secrets(settings: Settings) -> list[Finding]:
    return [await secret(settings), await encryption(settings)]


async def _startable(settings: Settings, now: Instant, *, running: bool) -> Finding:
    """Check that `serve` would start. A running server may have been started with --simulate."""
    try:
        settings.check_for_server(simulate=running)
        if settings.exposed:
            settings.check_exposure(has_key=await has_valid_key(settings, now))
    except SettingsError as error:
        return failed("settings", error.message)
    count = len(settings.model_fields_set)
    return ok("settings", f"are valid; {count} {'is' if count == 1 else 'are'} set")
