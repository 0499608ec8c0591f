"""The files of the pages, each under a name that changes with its content.

So browsers may keep them for ever. All of them come from this server: nothing leaves the machine.
"""

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from reelhook.doors.policy import READING, OpenRoute

router = APIRouter(route_class=OpenRoute, include_in_schema=False)
FOR_EVER = "public, max-age=31536000, immutable"
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
_REFERENCE = re.compile(r'url\("([a-z0-9.-]+)"\)')


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, and the name under which it is served."""

    served_as: str
    content_type: str
    body: bytes


@cache
def assets() -> dict[str, Asset]:
    """Return the files by their own name. Those from npm may be missing; see `hatch_build.py`."""
    folder = files(__package__) / "assets"
    found: dict[str, Asset] = {}
    for place in (folder / "vendor", folder):  # style sheets refer to fonts
        if not place.is_dir():
            continue
        for file in sorted(place.iterdir(), key=lambda one: one.name):
            ending = file.name.rpartition(".")[2]
            if file.is_file() and ending in _TYPES:
                found[file.name] = _asset(file.name, file.read_bytes(), found)
    return found


def _asset(name: str, body: bytes, known: dict[str, Asset]) -> Asset:
    stem, _, ending = name.rpartition(".")
    if ending == "css":
        text = _REFERENCE.sub(lambda match: f'url("{_served_as(match[1], known)}")', body.decode())
        body = text.encode()
    digest = sha256(body).hexdigest()[:12]
    return Asset(f"{stem}.{digest}.{ending}", _TYPES[ending], body)


def _served_as(name: str, known: dict[str, Asset]) -> str:
    return known[name].served_as if name in known else name


@cache
def _by_served_name() -> dict[str, Asset]:
    return {asset.served_as: asset for asset in assets().values()}


@router.api_route("/static/{name}", methods=READING)
async def static(name: str, request: Request) -> Response:
    """Return a file. Its name is its version, so it never changes."""
    asset = _by_served_name().get(name)
    if asset is None:
        return Response("No such file; reload the page\n", 404, media_type="text/plain")
    headers = {
        "Cache-Control": FOR_EVER,
        "ETag": f'"{name}"',
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, headers=headers, media_type=asset.content_type)
