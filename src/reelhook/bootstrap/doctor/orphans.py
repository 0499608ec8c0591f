"""Finds orphans: listed videos that no job owns, for example after a restore."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from reelhook.bootstrap.accounts import provider_of
from reelhook.config import Credential, Settings
from reelhook.domain.errors import ListingUnsupportedError, ProviderError, SettingsError
from reelhook.domain.event import Instant
from reelhook.domain.report import Entry
from reelhook.ports import Provider
from reelhook.storage import owned
from reelhook.telemetry.lines import hider

PAGES_MAX = 50
PROMPT_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Orphan:
    """A listed video that no job owns.

    `job_id` is a job in doubt with the same prompt. `command` adopts the video for that job, or
    registers it as a new one.
    """

    account: str
    id: str
    model: str | None
    prompt: str | None
    created_at: Instant | None
    job_id: str | None
    command: str


@dataclass(frozen=True, slots=True)
class ListingRead:
    """The part of an account's listing that was read.

    `complete` is True if it was read to its end, `error` the reason why the rest was not read.
    `listed` is False if the provider has no listing.
    """

    account: str
    entries: int
    complete: bool
    listed: bool = True
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Orphans:
    """The orphans, newest first within each account, and the listings that were read."""

    orphans: tuple[Orphan, ...]
    accounts: tuple[ListingRead, ...]


async def find_orphans(
    report: Callable[[str], None],
    *,
    pages_max: int = PAGES_MAX,
    env_file: Path | None = Path(".env"),
    **overrides: Any,
) -> Orphans:
    """Read at most `pages_max` pages of each account's listing; return the videos no job owns.

    `report` gets a line of progress before each page. Nothing is changed. Raises `SettingsError`.
    """
    settings = Settings.load(env_file=env_file, **overrides)
    if not settings.credentials:
        raise SettingsError("No provider is configured, so there is no listing to read")
    hide = hider(settings.secrets)
    doubtful = await owned.read(settings.database, owned.doubtful())
    by_prompt = {job.prompt: job.id for job in reversed(doubtful)}
    orphans: list[Orphan] = []
    accounts: list[ListingRead] = []
    for credential in settings.credentials:
        entries, listing = await _listing(credential, settings, report, pages_max, hide)
        accounts.append(listing)
        ids = [entry.provider_job_id for entry in entries]
        account_ids = [
            other.id for other in settings.credentials if other.provider == credential.provider
        ]
        unowned = set(await owned.read(settings.database, owned.unowned(account_ids, ids)))
        seen = {orphan.id for orphan in orphans if orphan.account in account_ids}
        unowned -= seen
        orphans += [
            _orphan(credential.id, entry, by_prompt)
            for entry in entries
            if entry.provider_job_id in unowned
        ]
    return Orphans(tuple(orphans), tuple(accounts))


async def _listing(
    credential: Credential,
    settings: Settings,
    report: Callable[[str], None],
    pages_max: int,
    hide: Callable[[str], str],
) -> tuple[list[Entry], ListingRead]:
    entries: dict[str, Entry] = {}
    try:
        async with provider_of(credential, settings) as provider:
            if not provider.traits.page_size_max:
                return [], ListingRead(credential.id, 0, complete=False, listed=False)
            complete = await _pages(credential.id, provider, entries, report, pages_max)
    except ListingUnsupportedError:
        return [], ListingRead(credential.id, 0, complete=False, listed=False)
    except (ProviderError, SettingsError) as error:
        listing = ListingRead(
            credential.id, len(entries), complete=False, error=hide(error.message)
        )
        return list(entries.values()), listing
    return list(entries.values()), ListingRead(credential.id, len(entries), complete)


async def _pages(
    account: str,
    provider: Provider,
    entries: dict[str, Entry],
    report: Callable[[str], None],
    pages_max: int,
) -> bool:
    """Read page by page; return True if the end was reached."""
    after: str | None = None
    for number in range(1, pages_max + 1):
        report(f"{account}: page {number}, {len(entries)} entries so far")
        page = await provider.page(after, provider.traits.page_size_max)
        fresh = [entry for entry in page.entries if entry.provider_job_id not in entries]
        entries |= {entry.provider_job_id: entry for entry in fresh}
        if not page.more:
            return True
        if not fresh:  # the server ignored the cursor, so the rest can't be read
            return False
        after = fresh[-1].provider_job_id
    return False


def _orphan(account: str, entry: Entry, by_prompt: dict[str, str]) -> Orphan:
    video_id = entry.provider_job_id
    job_id = by_prompt.pop(entry.prompt, None) if entry.prompt else None
    command = (
        f"reelhook register {quote(video_id)} --account {quote(account)}"
        if job_id is None
        else f"reelhook adopt {quote(job_id)} {quote(video_id)}"
    )
    prompt = entry.prompt[:PROMPT_CHARACTERS] if entry.prompt else None
    return Orphan(account, video_id, entry.model, prompt, entry.created_at, job_id, command)
