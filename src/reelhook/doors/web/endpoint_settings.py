"""The settings of an endpoint on its page: address, headers, events, format and rate."""

from collections.abc import Mapping
from typing import Any, cast

from reelhook.domain.endpoint import (
    AFTER_END_EVENTS,
    BUDGET_EVENTS,
    CONCURRENCY_MAX,
    MASK,
    Endpoint,
    EndpointKind,
    EventName,
)
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.request import SHORT_CHARACTERS_MAX, check_text
from reelhook.doors.endpoint_headers import headers_refusal
from reelhook.doors.web.forms import Form, whole_number
from reelhook.doors.web.view import View
from reelhook.gateway import EndpointFields

URL_CHARACTERS_MAX = 2048
_EVENT = "event."
_TYPED = ("url", "description", "headers", "concurrency", "format")


def settings_of(view: View, one: Endpoint) -> Mapping[str, Any]:
    """Return what the form shows: what was typed, if it was refused, or else what is stored."""
    stored = {
        "url": one.url,
        "description": one.description or "",
        "headers": "\n".join(f"{name}: {MASK}" for name, _ in one.headers),
        "concurrency": str(one.concurrency or ""),
        "format": one.format,
    }
    chosen: set[str] = {event.value for event in one.events}
    broadcast, typed = one.broadcast, view.form
    if typed is not None and "headers" in typed:
        stored |= {name: typed[name] for name in _TYPED if name in typed}
        chosen = {name.removeprefix(_EVENT) for name in typed if name.startswith(_EVENT)}
        broadcast = "broadcast" in typed
    later = BUDGET_EVENTS | AFTER_END_EVENTS
    return {
        **stored,
        "broadcast": broadcast,
        "events": [(name.value, name.value in chosen, name in later) for name in EventName],
        "formats": view.gateway.endpoints.formats,
        "concurrency_max": CONCURRENCY_MAX,
        "description_max": SHORT_CHARACTERS_MAX,
        "registered": one.kind is EndpointKind.REGISTERED,
    }


async def changed_fields(view: View, form: Form, before: Endpoint) -> EndpointFields:
    """Return the fields that a form gives. Raises `InvalidRequestError`."""
    about = form.get("description", "").strip()
    if about:
        check_text("description", about, SHORT_CHARACTERS_MAX)
    fields: dict[str, Any] = {
        "description": about or None,
        "headers": _headers(form.get("headers", "")),
        "events": _events(form),
        "format": form.get("format", before.format),
        "concurrency": _concurrency(form.get("concurrency", "").strip()),
    }
    if before.kind is EndpointKind.REGISTERED:
        fields["broadcast"] = "broadcast" in form
        url = form.get("url", before.url).strip()
        if url != before.url:
            check_text("url", url, URL_CHARACTERS_MAX)
            await view.context.options.check_url(url, field="url")
            fields["url"] = url
    return cast("EndpointFields", fields)


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    """Return the headers of lines like `X-Team: video`."""
    found: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            message = f"Line {number} of the headers has no colon; write one like X-Team: video"
            raise InvalidRequestError("headers", message)
        found.append((name.strip(), value.strip()))
    refusal = headers_refusal(dict(found))
    if len({name.lower() for name, _ in found}) < len(found):
        refusal = "must name each header once"
    if refusal is not None:
        raise InvalidRequestError("headers", f"The headers {refusal}")
    return tuple(found)


def _events(form: Form) -> frozenset[EventName]:
    chosen = {name.removeprefix(_EVENT) for name in form if name.startswith(_EVENT)}
    known = frozenset(name for name in EventName if name.value in chosen)
    if not known:
        raise InvalidRequestError("events", "Choose at least one event, or disable the endpoint")
    return known


def _concurrency(text: str) -> int | None:
    if not text:
        return None
    number = whole_number(text)
    if number is None or not 1 <= number <= CONCURRENCY_MAX:
        message = f"The requests at once must be a whole number from 1 to {CONCURRENCY_MAX}"
        raise InvalidRequestError("concurrency", message)
    return number
