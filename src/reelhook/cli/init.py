"""`reelhook init`: writes a commented `.env` from the answers to four questions."""

import os
import secrets
import sys
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from reelhook.cli import render
from reelhook.config import Settings
from reelhook.config.validators import environment_name
from reelhook.domain.errors import ReelhookError, SettingsError
from reelhook.providers.registry import BUILT_IN

NONE = "none"
_PROVIDERS = (*BUILT_IN, NONE)
_MEANINGS = {
    "WEBHOOK_URL": "Where webhooks go if a request names no other URL.",
    "WEBHOOK_SECRET": "The secret that signs webhooks. Your receiver needs it to verify them.",
    "REELHOOK_PUBLIC_URL": "The URL at which others reach this server, in links to videos.",
    "REELHOOK_API_KEY": "The operator's key, which can spend money: keep it secret.",
    "REELHOOK_DEFAULT_MODEL": "The model if a request names none; `reelhook models` lists them.",
    "REELHOOK_DATA_DIR": "The folder of the database and the finished videos.",
    "DATABASE_URL": "A PostgreSQL database, for several processes: postgresql://user@host/name",
}


class EnvFileExistsError(ReelhookError):
    """There is a file already, and nobody asked to replace it."""

    code = "file_exists"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} exists already; edit it, write another file with --output, "
            "or replace it with --force"
        )


def init(
    provider: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER",
            help=f"One of {', '.join(_PROVIDERS)}. Default: asked for.",
            show_default=False,
        ),
    ] = None,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The URL for webhooks; empty for none. Default: asked for.",
            show_default=False,
        ),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The URL at which others reach this server; empty for this machine alone. "
            "Default: asked for.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", help="The file to write.")
    ] = Path(".env"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented .env by asking four questions: provider, its key, webhooks, public URL.

    Secrets are made here and written to the file alone, which only you can read. The provider's key
    is read without being shown, or from its variable, such as FAL_KEY.
    """
    if output.exists() and not force:
        raise EnvFileExistsError(output)
    provider = _provider(provider)
    values = _credential(provider)
    if webhook_url is None:
        webhook_url = _ask("3/4", "The URL that gets webhooks; empty for none")
    if public_url is None:
        public_url = _ask("4/4", "The URL at which others reach this server; empty for none")
    values |= _addresses(webhook_url.strip(), public_url.strip())
    _check(values)
    _write(output, _text(values))
    render.say(f"Wrote {output}, which only you can read.")
    if provider == NONE:
        render.say("Next: reelhook serve --simulate")
    else:
        render.say("Next: reelhook doctor, then reelhook serve and reelhook models")


def _ask(number: str, question: str, *, hidden: bool = False) -> str:
    answer: str = typer.prompt(
        f"{number} {question}",
        default="",
        show_default=False,
        hide_input=hidden and sys.stdin.isatty(),
    )
    return answer.strip()


def _provider(given: str | None) -> str:
    choices = ", ".join(_PROVIDERS)
    while (name := given or _ask("1/4", f"The provider ({choices})") or NONE) not in _PROVIDERS:
        if given is not None:
            raise typer.BadParameter(f"name one of {choices}", param_hint="--provider")
        render.complain(f"Name one of {choices}.")
    return name


def _credential(provider: str) -> dict[str, str]:
    """Return the variables of the provider's account, which the environment may have already."""
    if provider == NONE:
        return {}
    known = BUILT_IN[provider]
    variable, hidden = known.key_variable, True
    question = f"Your key ({variable})"
    if known.self_hosted:
        variable, hidden = known.base_url_variable, False
        question = "The server's URL, like http://gpu:30000/v1"
    text = os.environ.get(variable, "").strip() or _ask("2/4", question, hidden=hidden)
    if not text:
        raise SettingsError(f"{variable} is empty; give it, or choose none as the provider")
    return {variable: text}


def _addresses(webhook_url: str, public_url: str) -> dict[str, str]:
    values = {"WEBHOOK_URL": webhook_url, "WEBHOOK_SECRET": "", "REELHOOK_PUBLIC_URL": public_url}
    if webhook_url:
        values["WEBHOOK_SECRET"] = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
    values["REELHOOK_API_KEY"] = secrets.token_urlsafe(32) if public_url else ""
    return values


def _check(values: Mapping[str, str]) -> None:
    """Raise `SettingsError` for a value that the server would refuse."""
    names = {environment_name(field): field for field in Settings.model_fields}
    Settings.of(**{names[variable]: text for variable, text in values.items() if text})


def _text(values: Mapping[str, str]) -> str:
    """Return the file: each variable with its meaning. Those without a value are commented out."""
    lines = ["# Settings of reelhook; docs/settings.md lists them all."]
    for variable in (*values, *(name for name in _MEANINGS if name not in values)):
        text = values.get(variable, "")
        meaning = _MEANINGS.get(variable, "The account at the provider.")
        lines += ["", f"# {meaning}", f"{variable}={text}" if text else f"#{variable}="]
    return "\n".join(lines) + "\n"


def _write(output: Path, text: str) -> None:
    try:
        output.unlink(missing_ok=True)
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise SettingsError(
            f"{output} can't be written ({error.strerror}); choose another file with --output"
        ) from None
