"""Rendering: templates become pages, and the parts of a page become its live updates."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import jinja2
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemBytecodeCache, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
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


class Bytecode(FileSystemBytecodeCache):
    """Keeps the bytecode of templates in a folder, if it can.

    To compile them takes a quarter of a second and 4 MiB, to load their bytecode 6 ms. A file that
    can't be read is made again; a folder that can't be written only costs that time.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), f"%s.{sys.implementation.cache_tag}.jinja")

    def get_source_checksum(self, source: str) -> str:
        """Return a checksum that changes with our filters and Jinja's compiler too."""
        return super().get_source_checksum(f"{reelhook.__version__} {jinja2.__version__} {source}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load the bytecode of a template, if there is any."""
        with suppress(Exception):  # of what a broken file contains
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the bytecode of a template."""
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                super().dump_bytecode(bucket)


@cache
def _environment() -> Environment:
    # The folder in which Python keeps the bytecode of this module.
    return environment(Path(cache_from_source(__file__)).parent)


def environment(folder: Path) -> Environment:
    """Return the environment of the templates. Their bytecode is kept in `folder`."""
    environment = Environment(
        loader=PackageLoader("reelhook.doors.web"),
        bytecode_cache=Bytecode(folder),
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


def load_templates() -> None:
    """Load all templates; compile those without bytecode. It may run in any thread."""
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
