"""The commands of `reelhook keys` about keys of projects."""

import re
from typing import Annotated, Any

import typer
from rich.text import Text

from reelhook.cli import render
from reelhook.cli.calls import show_response
from reelhook.cli.client import key_path
from reelhook.cli.options import AsJson, Url

_RATE = re.compile(r"(\d{1,7})/([smhd])", re.ASCII)
_RATE_FIELDS = {
    "s": "requestsPerSecond",
    "m": "requestsPerMinute",
    "h": "requestsPerHour",
    "d": "requestsPerDay",
}
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id.", show_default=False)]
Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="P",
        help="The project's id or name. Default: the key's own, or default for the operator.",
        show_default=False,
    ),
]


def create(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A note on the purpose of the key.", show_default=False
        ),
    ],
    *,
    project: Project = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="What it may do, separated by commas: read, submit, operate or admin. Each "
            "includes those before it. Default: submit.",
            show_default=False,
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long it is accepted, in s, m, h or d, e.g. 90d. Default: until revoked.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="A model that its jobs may use, and no other. May be repeated. "
            "Default: all of its project.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            "--rate",
            metavar="N/UNIT",
            help="The most requests per s, m, h or d, e.g. 60/m. May be repeated. "
            "Default: those of the key in use, or no limit for the operator.",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Create a key for an application. It is shown only now.

    The first one of a server is created on its own machine, or with REELHOOK_API_KEY. From then
    on, every request needs a key.
    """
    body = {
        "name": name,
        "scopes": _scopes(scope),
        "expires": expires,
        "models": model or None,
        "rates": _rates(rate) if rate else None,
    }
    show_response(
        url,
        lambda api: api.post("/api/keys", body),
        _show_secret,
        project=project,
        as_json=as_json,
    )


def list_(project: Project = None, url: Url = None, as_json: AsJson = False) -> None:
    """List the keys, oldest first, including those that have ended."""
    show_response(
        url, lambda api: api.get("/api/keys"), _show_keys, project=project, as_json=as_json
    )


def show(key_id: KeyId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a key, without its text."""
    show_response(url, lambda api: api.get(key_path(key_id)), _show_key, as_json=as_json)


def rotate(
    key_id: KeyId,
    overlap: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="How long the present text is still accepted, in s, m, h or d; 0s: not at all.",
        ),
    ] = "24h",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new text, which is shown only now. Its id and budgets stay."""
    show_response(
        url,
        lambda api: api.post(key_path(key_id, "/rotate"), {"overlap": overlap}),
        _show_secret,
        as_json=as_json,
    )


def revoke(key_id: KeyId, url: Url = None, as_json: AsJson = False) -> None:
    """End a key, its browser tokens and their open streams, within a second."""
    show_response(
        url, lambda api: api.post(key_path(key_id, "/revoke")), _show_key, as_json=as_json
    )


def _scopes(given: list[str] | None) -> list[str]:
    return [name.strip() for text in given or ["submit"] for name in text.split(",")]


def _rates(given: list[str]) -> dict[str, int]:
    rates = {}
    for text in given:
        match = _RATE.fullmatch(text)
        if match is None:
            raise typer.BadParameter(
                f"{text!r} is not a rate; write it like 60/m (s, m, h or d)", param_hint="--rate"
            )
        rates[_RATE_FIELDS[match[2]]] = int(match[1])
    return rates


def _show_keys(page: dict[str, Any]) -> None:
    keys = page["keys"]
    if not keys and render.on_terminal():
        render.say("None. `reelhook keys create NAME` creates one.")
        return
    render.show_table(
        ("ID", "NAME", "PROJECT", "SCOPES", "STATE", "LAST USED"),
        (
            (
                key["id"],
                key["name"],
                key["project"],
                ",".join(key["scopes"]),
                _state(key),
                render.minute(key["lastUsedAt"] or "never"),
            )
            for key in keys
        ),
    )


def _state(key: dict[str, Any]) -> str:
    if key["revokedAt"] is not None:
        return "revoked"
    return f"until {render.minute(key['expiresAt'])}" if key["expiresAt"] else "valid"


def _show_key(key: dict[str, Any]) -> None:
    render.show_fields(_fields(key))


def _show_secret(key: dict[str, Any]) -> None:
    render.show_fields([*_fields(key), ("Key", Text(key["key"], "bold"))])
    render.hint(
        "The key is shown only now. Give it to the application, which sends it as "
        "Authorization: Bearer."
    )


def _fields(key: dict[str, Any]) -> list[tuple[str, object]]:
    rates = {unit: key["rates"][name] for unit, name in _RATE_FIELDS.items()}
    return [
        ("ID", key["id"]),
        ("Name", key["name"]),
        ("Project", key["project"]),
        ("Begins with", key["hint"]),
        ("Scopes", ", ".join(key["scopes"])),
        ("Models", None if key["models"] is None else ", ".join(key["models"]) or "none"),
        ("Rates", ", ".join(f"{count}/{unit}" for unit, count in rates.items() if count)),
        ("Created", key["createdAt"]),
        ("Created by", key["createdBy"] or "the operator"),
        ("Expires", key["expiresAt"] or "never"),
        ("Revoked", key["revokedAt"]),
        ("Last used", key["lastUsedAt"]),
        ("Old text until", key["previousUntil"]),
    ]
