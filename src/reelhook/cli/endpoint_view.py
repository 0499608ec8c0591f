"""How endpoints are told."""

from typing import Any

from rich.text import Text

from reelhook.cli import render
from reelhook.domain.signature import standard_secret
from reelhook.telemetry.lines import printable

_STATE_STYLES = {
    "ok": "green",
    "failing": "yellow",
    "recovering": "cyan",
    "open": "red",
    "disabled": "red",
}
_DISABLED = {
    "operator": "by you",
    "failing": "after 120 hours without a success",
    "gone": "it answered 410",
}
_WORDS = {
    "failing": "the last attempts failed",
    "open": "it failed too often: only probes go out",
    "recovering": "it answers again: a few go out at once",
}
_KINDS = {"registered": None, "default": "WEBHOOK_URL", "url": "a job's own URL"}


def show_endpoints(page: dict[str, Any]) -> None:
    """Print a list of endpoints."""
    endpoints = page["endpoints"]
    if not endpoints and render.on_terminal():
        render.say("None. `reelhook endpoints add URL` registers one.")
        return
    render.show_table(
        ("ENDPOINT", "STATE", "URL", "DESCRIPTION"),
        (
            (one["id"], _state(one), one["url"], one["description"] or _KINDS[one["kind"]] or "")
            for one in endpoints
        ),
        keep=2,
    )


def show_endpoint(endpoint: dict[str, Any]) -> None:
    """Print all that the API tells of an endpoint."""
    render.show_fields(_fields(endpoint))


def show_secret(endpoint: dict[str, Any]) -> None:
    """Print an endpoint with its secret, and what to do with it."""
    secret = endpoint["secret"]
    standard = standard_secret(secret)
    render.show_fields(
        [
            *_fields(endpoint),
            ("Secret", Text(secret, "bold")),
            ("For Standard Webhooks", standard if standard != secret else None),
        ]
    )
    render.hint(
        "The secret is shown only now. Give it to the receiver, which verifies every webhook with "
        "it (docs/receivers.md), then try it:",
        f"reelhook endpoints test {endpoint['id']}",
    )


def show_test(answer: dict[str, Any]) -> None:
    """Print how a receiver answered the test event."""
    render.show_fields(
        [
            ("Delivered", Text("yes", "green") if answer["delivered"] else Text("no", "red")),
            ("Status", answer["status"]),
            ("Took", f"{answer['durationMs']} ms"),
            ("Error", _failure(answer)),
            ("Answer", answer["answer"]),
        ]
    )


def _failure(answer: dict[str, Any]) -> str | None:
    error, detail = answer["error"], answer["detail"]
    return f"{detail} ({error})" if error and detail else error


def _fields(endpoint: dict[str, Any]) -> list[tuple[str, object]]:
    health = endpoint["health"]
    return [
        ("Endpoint", endpoint["id"]),
        ("State", _state(endpoint, why=True)),
        ("URL", endpoint["url"]),
        ("From", _KINDS[endpoint["kind"]]),
        ("Trusted", "yes, any address" if endpoint["trusted"] else "no, public addresses only"),
        ("Description", endpoint["description"]),
        ("Events", ", ".join(endpoint["events"])),
        ("Of", "every job" if endpoint["broadcast"] else None),
        *(("Header", f"{name}: {value}") for name, value in endpoint["headers"].items()),
        ("At once", endpoint["concurrency"]),
        ("Failures", health["failures"] or None),
        ("Failing since", health["failingSince"]),
        ("Next probe", health["nextProbeAt"]),
        ("Old secret until", endpoint["previousSecretUntil"]),
        ("Created", endpoint["createdAt"]),
    ]


def _state(endpoint: dict[str, Any], *, why: bool = False) -> Text:
    state = str(endpoint["health"]["state"])
    text = Text(printable(state), _STATE_STYLES.get(state, "dim"))
    if not why:
        return text
    words = _WORDS.get(state)
    if endpoint["disabled"]:
        reason = _DISABLED.get(endpoint["disabled"], printable(endpoint["disabled"]))
        words = f"{reason}, {endpoint['disabledAt']}; what waits is kept"
    return text.append(f" ({words})", "default") if words else text
