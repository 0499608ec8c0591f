"""Rendering: templates become pages, and the parts of a page become its live updates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import reelhook
from reelhook.doors.web import states, texts
from reelhook.doors.web.view import Site, View

_CSP = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _CSP,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_FILTERS: Mapping[str, Callable[..., Any]] = {
    "span": texts.span,
    "number": texts.number,
    "bytes": texts.bytes_text,
    "cost": texts.cost,
    "millionths": texts.millionths,
    "pretty": texts.pretty_json,
    "lines": texts.header_lines,
    "breakable": texts.breakable,
    "clock": texts.clock_text,
    "job_state": states.job_state,
    "status_state": states.status_state,
    "delivery_state": states.delivery_state,
    "attempt_state": states.attempt_state,
    "endpoint_state": states.endpoint_state,
    "file_state": states.file_state,
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a page that is replaced while the page is open, if it has changed."""

    id: str
    html: str


class Parts:
    """Collects the parts of a page while its template is rendered."""

    def __init__(self) -> None:
        self.all: list[Part] = []

    def __call__(
        self, part_id: str, tag: str = "div", classes: str = "", *, caller: Callable[[], str]
    ) -> Markup:
        """Return the element of a part; `caller` renders its content."""
        html = Markup('<{0} id="{1}" class="{2}">{3}</{0}>').format(
            tag,
            part_id,
            classes,
            Markup(caller().strip()),  # noqa: S704 - the template has escaped it
        )
        self.all.append(Part(part_id, str(html)))
        return html


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reelhook.doors.web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(_FILTERS)
    environment.globals["money"] = texts.money
    environment.globals["price"] = texts.price
    environment.globals["percent"] = texts.percent
    environment.globals["capped"] = texts.capped
    environment.globals["version"] = reelhook.__version__
    return environment


def compile_templates() -> None:
    """Compile all templates, which takes tens of milliseconds. It may run in any thread."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


def rendered(site: Site, template: str, values: Mapping[str, Any]) -> tuple[str, list[Part]]:
    """Return the page, and its parts."""
    parts = Parts()

    def ago(at: int | None) -> Markup:
        return texts.ago(at, site.now)

    html = (
        _environment()
        .get_template(template)
        .render({**values, "view": site, "part": parts, "ago": ago, "live": isinstance(site, View)})
    )
    return html, parts.all


def respond(
    site: Site, template: str, values: Mapping[str, Any], status: int = 200
) -> HTMLResponse:
    """Return the response with a page."""
    html, _ = rendered(site, template, values)
    return HTMLResponse(html, status, headers=HEADERS)
