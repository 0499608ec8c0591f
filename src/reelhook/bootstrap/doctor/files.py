"""Checks that finished files may be fetched from the hosts where providers store them."""

import asyncio
from collections.abc import Sequence

from reelhook.bootstrap.accounts import provider_of
from reelhook.bootstrap.doctor.finding import Finding, ok, warning
from reelhook.config import Credential, Settings
from reelhook.domain.errors import FileAddressRefusedError, SettingsError
from reelhook.providers.http.file_access import Files, origin_text
from reelhook.storage.newest_files import ListedFile, newest_files

LOOK_UP_SECONDS_MAX = 5.0
ORIGINS_MAX = 10
"""The most hosts of an account's files that are checked, the newest first."""


async def files(settings: Settings) -> list[Finding]:
    """Check, for every account, the hosts of its newest files; nothing is fetched."""
    try:
        newest = await newest_files(settings.database)
    except SettingsError:
        newest = []  # the check of the database reports it
    per_account = await asyncio.gather(
        *(
            _account(
                credential, settings, [file for file in newest if file.account == credential.id]
            )
            for credential in settings.credentials
        )
    )
    return [finding for findings in per_account for finding in findings]


async def _account(
    credential: Credential, settings: Settings, newest: Sequence[ListedFile]
) -> list[Finding]:
    subject = f"files of account {credential.id}"
    try:
        provider = provider_of(credential, settings)
    except SettingsError:
        return []  # the check of the account reports it
    async with provider:
        by_host: dict[str, ListedFile] = {}
        for file in newest:
            by_host.setdefault(origin_text(file.url), file)
        refused = [
            warning(subject, f"the file of {file.job_id} is at {host}: {reason}")
            for host, file in list(by_host.items())[:ORIGINS_MAX]
            if (reason := await _refusal(provider.files, file.url)) is not None
        ]
        return refused or await _allowed(subject, credential, provider.files, str(provider.base))


async def _refusal(of_account: Files, url: str, *, trusting: bool = True) -> str | None:
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS_MAX):
            await of_account.check(url, trusting=trusting)
    except FileAddressRefusedError as error:
        return error.message
    except OSError:  # includes TimeoutError: the name can't be resolved now
        return None
    return None


async def _allowed(
    subject: str, credential: Credential, of_account: Files, base: str
) -> list[Finding]:
    """Report what is allowed, if the provider is on a private network."""
    allowed = [*map(str, credential.file_networks), *credential.file_origins]
    if allowed:
        return [ok(subject, f"may also be at {', '.join(allowed)}")]
    if await _refusal(of_account, base, trusting=False) is None:
        return []
    return [
        ok(
            subject,
            f"may be at {origin_text(base)} and at public addresses; if the server names "
            "another private host, add its network to file_networks or its origin to file_origins "
            "of the account (REELHOOK_FILE_NETWORKS, REELHOOK_FILE_ORIGINS)",
        )
    ]
