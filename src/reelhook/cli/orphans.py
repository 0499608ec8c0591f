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
    from reelhook.bootstrap.doctor.orphans import ListingRead, Orphan, Orphans

TELL_SECONDS = 1.0


def show_orphans(*, data_dir: str | None, as_json: bool) -> None:
    """List what providers have and no job owns; exit with 1 where a listing could not be read."""
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    found = asyncio.run(bootstrap.find_orphans(_Progress(), data_dir=data_dir))
    if as_json:
        render.say(json.dumps(_as_json(found)))
    else:
        _show(found)
    if any(one.error is not None for one in found.accounts):
        raise typer.Exit(1)


class _Progress:
    """Tells on stderr how far it is, once a second at most."""

    def __init__(self) -> None:
        self._due_at = time.monotonic() + TELL_SECONDS

    def __call__(self, words: str) -> None:
        if time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + TELL_SECONDS
            sys.stderr.write(f"{printable(words)}\n")
            sys.stderr.flush()


def _as_json(found: "Orphans") -> dict[str, object]:
    return {
        "orphans": [_orphan(one) for one in found.orphans],
        "accounts": [asdict(one) for one in found.accounts],
    }


def _orphan(one: "Orphan") -> dict[str, object]:
    return {
        "account": one.account,
        "soraJobId": one.id,
        "model": one.model,
        "prompt": one.prompt,
        "createdAt": maybe_iso(one.created_at),
        "jobId": one.job_id,
        "command": one.command,
    }


def _show(found: "Orphans") -> None:
    if found.orphans:
        render.show_table(
            ("ID", "ACCOUNT", "MODEL", "CREATED", "PROMPT"),
            (
                (one.id, one.account, one.model, maybe_iso(one.created_at), one.prompt)
                for one in found.orphans
            ),
        )
        render.say("To watch them here:")
        for one in found.orphans:
            render.say(printable(one.command))
    for account in found.accounts:
        render.say(f"{printable(account.account)}: {printable(_words(account, found))}")


def _words(account: "ListingRead", found: "Orphans") -> str:
    if not account.listed:
        return "its provider has no listing, so look at the provider's own pages"
    if account.error is not None:
        return f"its listing could not be read: {account.error}"
    orphans = sum(one.account == account.account for one in found.orphans)
    extent = "" if account.complete else ", the newest ones; older entries were not read"
    return f"{orphans} of {account.entries} entries belong to no job here{extent}"
