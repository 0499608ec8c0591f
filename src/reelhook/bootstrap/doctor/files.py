"""Finished files: may they be fetched from where providers put them?"""

import asyncio
from collections.abc import Sequence

from reelhook.bootstrap.accounts import provider_of
from reelhook.bootstrap.doctor.finding import Finding, ok, warning
from reelhook.config import Credential, Settings
from reelhook.domain.errors import FileAddressRefusedError, SettingsError
from reelhook.providers.http.file_access import Files, origin_text
from reelhook.storage.newest_files import FinishedFile, newest_files

LOOK_UP_SECONDS_MAX = 5.0
ORIGINS_MAX = 10
"""How many places of an account's files are judged, the newest first."""


async def files(settings: Settings) -> list[Finding]:
    """Judge, for every account, where its newest files lie; nothing is fetched."""
    try:
        newest = await newest_files(settings.database)
    except SettingsError:
        newest = []  # said of the database
    found = await asyncio.gather(
        *(
            _account(one, settings, [file for file in newest if file.account == one.id])
            for one in settings.credentials
        )
    )
    return [finding for findings in found for finding in findings]


async def _account(
    one: Credential, settings: Settings, newest: Sequence[FinishedFile]
) -> list[Finding]:
    subject = f"files of account {one.id}"
    try:
        provider = provider_of(one, settings)
    except SettingsError:
        return []  # said of the account
    async with provider:
        by_place: dict[str, FinishedFile] = {}
        for file in newest:
            by_place.setdefault(origin_text(file.url), file)
        refused = [
            warning(subject, f"the file of {file.job_id} lies at {where}: {reason}")
            for where, file in list(by_place.items())[:ORIGINS_MAX]
            if (reason := await _refusal(provider.files, file.url)) is not None
        ]
        return refused or await _allowed(subject, one, provider.files, str(provider.base))


async def _refusal(of_account: Files, url: str, *, trusting: bool = True) -> str | None:
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS_MAX):
            await of_account.check(url, trusting=trusting)
    except FileAddressRefusedError as error:
        return error.message
    except OSError:  # TimeoutError is one: the name says nothing now
        return None
    return None


async def _allowed(subject: str, one: Credential, of_account: Files, base: str) -> list[Finding]:
    """Tell what is allowed, where it matters: other accounts' files are public."""
    allowed = [*map(str, one.file_networks), *one.file_origins]
    if allowed:
        return [ok(subject, f"may lie in {', '.join(allowed)} too")]
    if await _refusal(of_account, base, trusting=False) is None:
        return []
    return [
        ok(
            subject,
            f"may lie at {origin_text(base)} and at public addresses; if the server names "
            "another private host, put its network into file_networks, or its origin into "
            "file_origins, of the account (REELHOOK_FILE_NETWORKS, REELHOOK_FILE_ORIGINS)",
        )
    ]
