"""Endpoints as the command line shows them."""

from typing import Any

from rich.text import Text

from reelhook.cli import render
from reelhook.domain.endpoint import DEFAULT_FORMAT
from reelhook.domain.signature import standard_secret
from reelhook.telemetry.lines import printable

_STATE_STYLES = {
    "ok": "green",
    "failing": "yellow",
    "recovering": "cyan",
    "open": "red",
    "locked": "red",
    "disabled": "red",
}
_DISABLED = {
    "operator": "by the operator",
    "failing": "after 120 hours without a success",
    "gone": "it answered 410",
}
_EXPLANATIONS = {
    "failing": "the last attempts failed",
    "open": "it failed too often: only probes are sent",
    "locked": "the server can't decrypt its secrets: its webhooks wait, without attempts",
    "recovering": "it responds again: few webhooks are sent at a time",
}
_KINDS = {"registered": None, "default": "WEBHOOK_URL", "url": "a job's own URL"}


def show_endpoints(page: dict[str, Any]) -> None:
    """Print a list of endpoints."""
    endpoints = page["endpoints"]
    if not endpoints and render.on_terminal():
        render.say("None. `reelhook endpoints add URL` registers one.")
        return
    several = any("project" in endpoint for endpoint in endpoints)
    formats = any(endpoint["format"] != DEFAULT_FORMAT for endpoint in endpoints)
    more = [*(["FORMAT"] if formats else []), *(["PROJECT"] if several else [])]
    render.show_table(
        ("ENDPOINT", "STATE", "URL", "DESCRIPTION", *more),
        (
            (
                endpoint["id"],
                _state(endpoint),
                endpoint["url"],
                endpoint["description"] or _KINDS[endpoint["kind"]] or "",
                *([endpoint["format"]] if formats else []),
                *([endpoint.get("project", "default")] if several else []),
            )
            for endpoint in endpoints
        ),
        keep=2,
    )


def show_endpoint(endpoint: dict[str, Any]) -> None:
    """Print an endpoint in full."""
    render.show_fields(_fields(endpoint))


def show_secret(endpoint: dict[str, Any]) -> None:
    """Print an endpoint with its secret, and how to use the secret."""
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
        "it (docs/receivers.md). Then send a test event:",
        f"reelhook endpoints test {endpoint['id']}",
    )


def show_test(outcome: dict[str, Any]) -> None:
    """Print a receiver's response to the test event."""
    render.show_fields(
        [
            ("Delivered", Text("yes", "green") if outcome["delivered"] else Text("no", "red")),
            ("Status", outcome["status"]),
            ("Took", f"{outcome['durationMs']} ms"),
            ("Error", _failure(outcome)),
            ("Response", outcome["answer"]),
        ]
    )


def _failure(outcome: dict[str, Any]) -> str | None:
    error, detail = outcome["error"], outcome["detail"]
    return f"{detail} ({error})" if error and detail else error


def _fields(endpoint: dict[str, Any]) -> list[tuple[str, object]]:
    health = endpoint["health"]
    return [
        ("Endpoint", endpoint["id"]),
        ("State", _state(endpoint, why=True)),
        ("URL", endpoint["url"]),
        ("From", _KINDS[endpoint["kind"]]),
        ("Project", endpoint.get("project")),
        ("Trusted", "yes, any address" if endpoint["trusted"] else "no, public addresses only"),
        ("Description", endpoint["description"]),
        ("Events", ", ".join(endpoint["events"])),
        ("Format", endpoint["format"]),
        ("Broadcast", "every job's events" if endpoint["broadcast"] else None),
        *(("Header", f"{name}: {value}") for name, value in endpoint["headers"].items()),
        ("Concurrency", endpoint["concurrency"]),
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
    explanation = _EXPLANATIONS.get(state)
    if endpoint["disabled"]:
        reason = _DISABLED.get(endpoint["disabled"], printable(endpoint["disabled"]))
        explanation = f"{reason}, {endpoint['disabledAt']}; waiting events are kept"
    return text.append(f" ({explanation})", "default") if explanation else text
