"""The guard: decides on every request, by its route's policy, before its body is read.

A plain ASGI middleware, so that it sees every request, streams and unknown paths included.
"""

import sys
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from reelhook.domain.caller import ANONYMOUS, DOWNLOADER, OPERATOR, PROVIDER, Caller
from reelhook.doors.access import DOWNLOAD_SIGNATURE, Access
from reelhook.doors.bodies import Bodies
from reelhook.doors.clients import RefusedClients, client_address
from reelhook.doors.errors import error_response
from reelhook.doors.limits import Refusals
from reelhook.doors.policy import DeclaredRoutes, Policy
from reelhook.doors.proxies import came_through_proxy

CALLER = "reelhook.caller"
"""The key under which the guard stores the caller in a scope."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_READING_METHODS = frozenset({"GET", "HEAD"})
_DIGITS_MAX = 18


@dataclass(frozen=True, slots=True)
class AccessRefusal:
    """The reason why a request is refused."""

    status: int
    code: str
    message: str

    def response(self) -> JSONResponse:
        """Return the response to the client."""
        # RFC 9110, section 11.6.1: a 401 names the scheme that it asks for.
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else None
        return error_response(self.status, self.message, self.code, headers=headers)


NO_KEY = AccessRefusal(
    401, "unauthorized", "Send the API key: Authorization: Bearer <REELHOOK_API_KEY>"
)
PROXIED = AccessRefusal(
    403,
    "proxied_without_key",
    "This request came through a proxy, so others may reach this server and spend money: "
    "set REELHOOK_API_KEY to a long random text, and send it as Authorization: Bearer",
)
UNKNOWN_HOST = AccessRefusal(
    400, "invalid_request", "This Host is not accepted; add its name to REELHOOK_ALLOWED_HOSTS"
)
FOREIGN_ORIGIN = AccessRefusal(
    403, "forbidden", "Web pages of other origins may not do this; call from a server"
)
NO_JSON = AccessRefusal(
    415, "unsupported_media_type", "Send the body as JSON, with Content-Type: application/json"
)


class Guard:
    """Refuses requests that `Access` does not allow, and bodies that are too large."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        routes: DeclaredRoutes,
        bodies: Bodies,
        refusals: Refusals,
        clients: RefusedClients,
    ) -> None:
        self._app = app
        self._access = access
        self._routes = routes
        self._bodies = bodies
        self._refusals = refusals
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide on one request, and pass it on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        declared = _declared_length(request.headers)
        decision = self._decide(request, declared)
        if isinstance(decision, Caller):
            responder, scope = self._app, {**scope, CALLER: decision}
        else:
            responder = self._refusing(decision, request)
        if not _has_body(request.headers):
            await responder(scope, receive, send)
            return
        body = self._bodies.body(
            receive, declared, awaits_continue=_awaits_continue(request.headers)
        )
        try:
            await responder(scope, body.receive, body.responding(send))
        finally:
            body.close()

    def _refusing(self, refusal: AccessRefusal, request: Request) -> ASGIApp:
        client = client_address(request.scope)
        self._clients.report(client, refusal.status, refusal.code, request.method)
        return refusal.response()

    def _decide(self, request: Request, declared: int | None) -> Caller | AccessRefusal:
        if declared is not None and declared > self._bodies.limits.body_bytes:
            too_large = self._bodies.too_large()
            self._refusals.count(too_large.code, too_large.detail)
            return AccessRefusal(too_large.status_code, too_large.code, too_large.detail)
        policy, job_id = self._routes.match(request.scope)
        if policy is Policy.OPEN:
            return ANONYMOUS
        if policy is Policy.CALLBACK:
            return PROVIDER
        caller = self._caller(request, policy, job_id)
        if isinstance(caller, AccessRefusal):
            return caller
        changes = request.method not in _SAFE_METHODS
        if changes and declared != 0 and not _is_json(request.headers):
            return NO_JSON
        return caller

    def _caller(
        self, request: Request, policy: Policy, job_id: str | None
    ) -> Caller | AccessRefusal:
        headers = request.headers
        if self._access.has_key(headers):
            return OPERATOR
        if policy is Policy.SIGNED_DOWNLOAD and self._has_signed_link(request, job_id):
            return DOWNLOADER
        if self._access.api_key is not None:
            readable = policy is Policy.DOCUMENT and request.method in _READING_METHODS
            return ANONYMOUS if readable else NO_KEY
        if self._access.hosts is not None and came_through_proxy(headers):
            return PROXIED
        if not self._access.knows_host(headers):
            return UNKNOWN_HOST
        if request.method not in _SAFE_METHODS and _from_foreign_page(headers):
            return FOREIGN_ORIGIN
        return OPERATOR

    def _has_signed_link(self, request: Request, job_id: str | None) -> bool:
        signature = request.query_params.get(DOWNLOAD_SIGNATURE)
        if signature is None or request.method not in _SAFE_METHODS:
            return False
        if job_id is None:
            job_id = request.query_params.get("jobId", "")
        return self._access.may_download(job_id, signature)


def _from_foreign_page(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return False
    return origin.partition("://")[2].lower() != headers.get("host", "").lower()


def _declared_length(headers: Headers) -> int | None:
    """Return the length of the body; None if it is not declared."""
    if "transfer-encoding" in headers:
        return None
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()):
        return 0
    return int(length) if len(length) < _DIGITS_MAX else sys.maxsize


def _has_body(headers: Headers) -> bool:
    return "content-length" in headers or "transfer-encoding" in headers


def _awaits_continue(headers: Headers) -> bool:
    return headers.get("expect", "").lower() == "100-continue"


def _is_json(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"
