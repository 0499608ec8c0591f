"""The commands that open the database: `migrate`, `rollback` and `secret`."""

import asyncio
import json
from typing import Annotated

import typer

from reelhook.cli import render
from reelhook.cli.options import AsJson, DataDir
from reelhook.config import Settings
from reelhook.domain.signature import standard_secret


def migrate(
    every: Annotated[
        bool, typer.Option("--all", help="All that are missing, not just the next one.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bring the database's schema forward by one revision.

    `serve` does this by itself, all the way, unless it is told --no-migrate.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    settings = Settings.load(data_dir=data_dir)
    applied = asyncio.run(bootstrap.migrate(settings, None if every else 1))
    if as_json:
        render.say(json.dumps({"applied": applied}))
        return
    for revision in applied:
        render.say(f"Applied {revision}.")
    if not applied:
        render.say("The schema is up to date.")


def rollback(
    destroy: Annotated[
        bool, typer.Option("--destroy", help="Go back to nothing, though this deletes every job.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take the database's schema back by one revision.

    Taking the last one back deletes every job, so that needs --destroy.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - as above

    settings = Settings.load(data_dir=data_dir)
    undone = asyncio.run(bootstrap.rollback(settings, destroy=destroy))
    if as_json:
        render.say(json.dumps({"rolledBack": undone}))
    elif undone is None:
        render.say("The database has no schema yet.")
    else:
        render.say(f"Rolled back {undone}.")


def secret(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the secret that webhooks are signed with.

    In both forms: as X-Signature's key, and as receivers with a Standard Webhooks library are
    given it. The database is opened only where WEBHOOK_SECRET is not set.
    """
    settings = Settings.load(data_dir=data_dir)
    plain = settings.webhook_secret
    if plain is None:
        from reelhook import bootstrap  # noqa: PLC0415 - as above

        plain = asyncio.run(bootstrap.webhook_secret(settings))
    standard = standard_secret(plain)
    if as_json:
        render.say(json.dumps({"secret": plain, "standardWebhooks": standard}))
        return
    # Whole and unwrapped, to be copied.
    render.say(f"For X-Signature: {plain}")
    render.say(f"For Standard Webhooks: {standard}")
