"""Restores requests that proxies have changed: their path, and their client's address."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from reelhook.guard.hosts import plain_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
API_SEGMENTS = frozenset(
    {
        *(".well-known", "api", "docs", "healthz", "openapi.json", "providers", "readyz", "redoc"),
        *("v1", "v4"),
    }
)
"""The first segments of the paths of all routes for programs, and of the documentation."""
PAGE_SEGMENTS = frozenset(
    {
        *("", "archive", "costs", "costs.csv", "jobs", "keys", "login", "logout", "providers"),
        *("static", "system", "theme", "try", "webhooks"),
    }
)
"""The first segments of the paths of the dashboard."""
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]{1,64}){1,8}", re.ASCII)
_OF_PROXIES = frozenset(
    {
        "cf-connecting-ip",
        "fastly-client-ip",
        "forwarded",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-original-forwarded-for",
        "x-real-ip",
    }
)


def came_through_proxy(headers: Headers) -> bool:
    """Return True if a header shows that a proxy passed the request on. Many add none."""
    return any(name in _OF_PROXIES or name.startswith("x-forwarded-") for name in headers)


class BehindProxies:
    """An application below a path, whose requests carry the address of their original client.

    `prefix` is the path of the server's public address, without a slash at its end. Requests below
    it and without it are served alike, since some proxies remove it and some don't. Pages and
    documents have it in their links. If it is empty, a trusted proxy may name one
    (`X-Forwarded-Prefix`). Headers of proxies that are not `trusted` are ignored.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[Network], prefix: str) -> None:
        self._app = app
        self._trusted = trusted
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on as its client sent it."""
        if scope["type"] == "http":
            scope = self._as_sent(scope)
        await self._app(scope, receive, send)

    def _as_sent(self, scope: Scope) -> Scope:
        prefix = self._prefix
        if self._trusted and self._trusts(client := _address_of(scope)):
            headers = Headers(scope=scope)
            forwarded_for = ",".join(headers.getlist("x-forwarded-for")).split(",")
            scope = {**scope, "client": (self._origin(client, forwarded_for), 0)}
            if (scheme := headers.get("x-forwarded-proto")) in {"http", "https"}:
                scope["scheme"] = scheme  # for the addresses in redirects
            prefix = prefix or _forwarded_prefix(headers)
        return _below(prefix, scope) if prefix else scope

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def _origin(self, proxy: Address | None, forwarded_for: Sequence[str]) -> str:
        """Return the last address that is not a trusted proxy's. Earlier ones may be forged."""
        origin = proxy
        for text in reversed(forwarded_for):
            address = _address(text.strip())
            if address is None:
                break
            origin = address
            if not self._trusts(address):
                break
        return str(origin)


def _address_of(scope: Scope) -> Address | None:
    client = scope.get("client")
    return None if client is None else _address(client[0])


def _address(text: str) -> Address | None:
    """Read an address, which may have brackets and a port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return plain_address(text)
    except ValueError:
        return None


def _forwarded_prefix(headers: Headers) -> str:
    prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
    return prefix if _PREFIX.fullmatch(prefix) else ""


def _below(prefix: str, scope: Scope) -> Scope:
    """Give a request the path that it has below `prefix`."""
    path, below = str(scope["path"]), unquote(prefix)
    # Below `/api`, `/api/jobs/ID` is the API's path and not that of a page: programs come first.
    ours = API_SEGMENTS if _first(below) in API_SEGMENTS else API_SEGMENTS | PAGE_SEGMENTS
    if path == below and "" in ours:
        return {**scope, "path": f"{below}/", "root_path": below}
    intact = path.startswith(f"{below}/") and _first(path.removeprefix(below)) in ours
    full = {} if intact else {"path": below + path, "raw_path": prefix.encode() + scope["raw_path"]}
    return {**scope, **full, "root_path": below}


def _first(path: str) -> str:
    return path.split("/", 2)[1]
