"""The commands that open the database: `migrate`, `rollback`, `secret` and `callback`."""

import asyncio
import json
import secrets
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.options import AsJson, DataDir
from reelhook.cli.rollback_view import show_rolled_back
from reelhook.config import Settings
from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.signature import standard_secret
from reelhook.domain.signing_keys import KEY_BYTES, PrivateKey, private_text


def migrate(
    every: Annotated[
        bool, typer.Option("--all", help="Apply all missing revisions, not just the next one.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Upgrade the database's schema by one revision.

    `serve` applies all revisions by itself, unless started with --no-migrate.
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
        bool,
        typer.Option("--destroy", help="Undo the first revision too, which deletes every job."),
    ] = False,
    end_jobs: Annotated[
        bool,
        typer.Option(
            "--end-jobs",
            help="End the waiting jobs of projects other than default, which the earlier version "
            "does not know. Jobs that a provider has go on, and are listed.",
        ),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Downgrade the database's schema by one revision.

    All processes must have been stopped. Undoing the first revision deletes every job, so it needs
    --destroy.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - as above

    settings = Settings.load(data_dir=data_dir)
    undone = asyncio.run(bootstrap.rollback(settings, destroy=destroy, end_jobs=end_jobs))
    show_rolled_back(undone, as_json=as_json)


def secret(
    new_private_key: Annotated[
        bool,
        typer.Option(
            "--new-private-key",
            help="Generate and show a key for v1a signatures; nothing is stored or changed.",
        ),
    ] = False,
    project: Annotated[
        str | None,
        typer.Option(
            metavar="PROJECT",
            help="The id or name of the project whose secret is shown. Default: default, whose "
            "secret is WEBHOOK_SECRET.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the secret and the public keys with which receivers verify webhooks.

    The secret is shown in both forms: as the key of X-Signature, and for Standard Webhooks
    libraries. Public keys are shown if REELHOOK_WEBHOOK_PRIVATE_KEY is set. The database is
    opened only for another project than default, or if WEBHOOK_SECRET is not set.
    """
    if new_private_key:
        _show_new_private_key(as_json)
        return
    settings = Settings.load(data_dir=data_dir)
    plain = settings.webhook_secret
    if plain is None or project not in {None, DEFAULT_PROJECT}:
        from reelhook import bootstrap  # noqa: PLC0415 - as above

        plain = asyncio.run(bootstrap.webhook_secret(settings, project))
    standard = standard_secret(plain)
    public = [str(PrivateKey.parse(text).public) for text in settings.webhook_private_key]
    if as_json:
        document: dict[str, Any] = {"secret": plain, "standardWebhooks": standard}
        render.say(json.dumps(document | ({"publicKeys": public} if public else {})))
        return
    # Unwrapped, so that they can be copied.
    render.say(f"For X-Signature: {plain}")
    render.say(f"For Standard Webhooks: {standard}")
    for key in public:
        render.say(f"For Standard Webhooks, public key: {key}")


def callback(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="An account, as `reelhook stats` names it.")
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the callback URL to which an account's provider may send its webhooks.

    Enter it on the settings page of a provider that takes no URL with each job. The URL can't be
    guessed, so keep it secret. A callback triggers the next check of a job at once. Its signature
    is verified if the provider signs.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - as above

    settings = Settings.load(data_dir=data_dir)
    url = asyncio.run(bootstrap.callback_url(settings, account))
    render.say(json.dumps({"account": account, "url": url}) if as_json else url)
    if "public_url" not in settings.model_fields_set:
        render.complain("REELHOOK_PUBLIC_URL is not set, so only this machine reaches the address")


def _show_new_private_key(as_json: bool) -> None:
    seed = secrets.token_bytes(KEY_BYTES)
    private, public = private_text(seed), str(PrivateKey.of(seed).public)
    if as_json:
        render.say(json.dumps({"privateKey": private, "publicKey": public}))
        return
    render.say(f"Private key: {private}")
    render.say(f"Public key: {public}")
    if render.on_terminal():
        render.say("Put the private key first in REELHOOK_WEBHOOK_PRIVATE_KEY and restart `serve`.")
