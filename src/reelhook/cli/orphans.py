"""`reelhook doctor --orphans`."""

import asyncio
import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from reelhook.cli import render
from reelhook.domain.event import maybe_iso
from reelhook.telemetry.lines import printable

if TYPE_CHECKING:
    from reelhook.bootstrap.doctor.orphans import Looked, Orphan, Orphans

PROGRESS_SECONDS = 1.0


def show_orphans(*, data_dir: str | None, as_json: bool) -> None:
    """List the providers' videos that no job owns. Exit with 1 if a listing could not be read."""
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    found = asyncio.run(bootstrap.find_orphans(_Progress(), data_dir=data_dir))
    if as_json:
        render.say(json.dumps(_as_json(found)))
    else:
        _show(found)
    if any(account.error is not None for account in found.accounts):
        raise typer.Exit(1)


class _Progress:
    """Reports progress on stderr, once a second at most."""

    def __init__(self) -> None:
        self._due_at = time.monotonic() + PROGRESS_SECONDS

    def __call__(self, text: str) -> None:
        if time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + PROGRESS_SECONDS
            sys.stderr.write(f"{printable(text)}\n")
            sys.stderr.flush()


def _as_json(found: "Orphans") -> dict[str, object]:
    return {
        "orphans": [_orphan(orphan) for orphan in found.orphans],
        "accounts": [asdict(account) for account in found.accounts],
    }


def _orphan(orphan: "Orphan") -> dict[str, object]:
    return {
        "account": orphan.account,
        "soraJobId": orphan.id,
        "model": orphan.model,
        "prompt": orphan.prompt,
        "createdAt": maybe_iso(orphan.created_at),
        "jobId": orphan.job_id,
        "command": orphan.command,
    }


def _show(found: "Orphans") -> None:
    if found.orphans:
        render.show_table(
            ("ID", "ACCOUNT", "MODEL", "CREATED", "PROMPT"),
            (
                (
                    orphan.id,
                    orphan.account,
                    orphan.model,
                    maybe_iso(orphan.created_at),
                    orphan.prompt,
                )
                for orphan in found.orphans
            ),
        )
        render.say("To watch them here:")
        for orphan in found.orphans:
            render.say(printable(orphan.command))
    for account in found.accounts:
        render.say(f"{printable(account.account)}: {printable(_summary(account, found))}")


def _summary(account: "Looked", found: "Orphans") -> str:
    if not account.listed:
        return "its provider has no listing; look at the provider's own pages"
    if account.error is not None:
        return f"its listing could not be read: {account.error}"
    orphans = sum(orphan.account == account.account for orphan in found.orphans)
    extent = "" if account.complete else ", the newest ones; older entries were not read"
    return f"{orphans} of {account.entries} entries belong to no job here{extent}"
