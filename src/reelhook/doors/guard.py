"""The guard: decides on every request, by its route's policy, before its body is read.

A plain ASGI middleware, so that it sees every request, streams and unknown paths included.
"""

import sys
from dataclasses import replace

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from reelhook.doors.admission import (
    SAFE_METHODS,
    AccessRefusal,
    Admission,
    Admissions,
    within_scope,
)
from reelhook.doors.bodies import SMALL_BYTES, Bodies, Body
from reelhook.doors.clients import RefusedClients, client_address
from reelhook.doors.error_form import PAGE, ErrorForms
from reelhook.doors.errors import METHOD_NOT_ALLOWED
from reelhook.doors.limits import LimitError, Refusals
from reelhook.doors.multipart import FORM, media_type
from reelhook.doors.policy import (
    OF_PAGES,
    READING,
    UNKNOWN,
    UNKNOWN_PAGE,
    DeclaredRoutes,
    FileForms,
    Matched,
    Policy,
)
from reelhook.doors.rates import RateLimits, with_headers

CALLER = "reelhook.caller"
"""The key under which the guard stores the caller in a scope."""
CREDENTIAL = "reelhook.credential"
"""The key under which the guard stores the caller's credential in a scope."""
RATE_REFUSAL = "reelhook.rate_refusal"
"""The key under which the guard stores the refusal of a request that exceeds its key's rate.

Only for routes that refuse it themselves; None: the rate is not exceeded.
"""
_DIGITS_MAX = 18
_TAKES_ANY_BODY = frozenset({Policy.OPEN, Policy.CALLBACK})

WRONG_METHOD = AccessRefusal(405, *METHOD_NOT_ALLOWED)
NO_JSON = AccessRefusal(
    415, "unsupported_media_type", "Send the body as JSON, with Content-Type: application/json"
)
NO_PAGE_FORM = AccessRefusal(
    415, "unsupported_media_type", "Send the form as application/x-www-form-urlencoded"
)
NO_JSON_OR_FORM = AccessRefusal(
    415,
    "unsupported_media_type",
    "Send the body as JSON, with Content-Type: application/json, or as multipart/form-data",
)


class Guard:
    """Refuses requests that `Admissions` does not admit, and bodies that are too large."""

    def __init__(
        self,
        app: ASGIApp,
        admissions: Admissions,
        routes: DeclaredRoutes,
        bodies: Bodies,
        refusals: Refusals,
        clients: RefusedClients,
        forms: ErrorForms,
    ) -> None:
        self._app = app
        self._admissions = admissions
        self._routes = routes
        self._bodies = bodies
        self._refusals = refusals
        self._clients = clients
        self._forms = forms
        self._rates = RateLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide on one request, and pass it on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"]:  # PostgreSQL takes none, so no record could be looked up by it
            scope = {**scope, "path": scope["path"].replace("\0", "\ufffd")}
        request = Request(scope)
        matched = self._routes.match(scope)
        if matched == UNKNOWN and _is_for_a_browser(request):
            matched = UNKNOWN_PAGE
        scope[PAGE] = matched.policy in OF_PAGES
        if not _has_body(request.headers):
            responder, admitted = await self._responder(request, matched, None)
            await responder(admitted, receive, send)
            return
        body = self._bodies.body(
            receive,
            _declared_length(request.headers),
            self._bytes_max(matched),
            awaits_continue=_awaits_continue(request.headers),
        )
        try:
            responder, admitted = await self._responder(request, matched, body)
            await responder(admitted, body.receive, body.responding(send))
        finally:
            body.close()

    def _bytes_max(self, matched: Matched) -> int:
        """Return the size of the largest body that a route takes."""
        limits = self._bodies.limits
        if matched.policy is Policy.OPEN_PAGE:
            return SMALL_BYTES  # so that forms without a key take no memory from bodies with one
        return limits.body_bytes if matched.files is None else limits.upload_bytes_max

    async def _responder(
        self, request: Request, matched: Matched, body: Body | None
    ) -> tuple[ASGIApp, Scope]:
        """Return the application that responds, and the scope that it gets."""
        try:
            decision = await self._decide(request, matched, body)
        except LimitError as error:
            self._refusals.count(error.code, error.detail)
            decision = AccessRefusal(
                error.status_code, error.code, error.detail, headers=dict(error.headers or {})
            )
        if isinstance(decision, Admission):
            named = {
                CALLER: decision.caller,
                CREDENTIAL: decision.credential,
                RATE_REFUSAL: decision.rate_refusal,
            }
            app = with_headers(self._app, decision.headers) if decision.headers else self._app
            return app, {**request.scope, **named}
        client = client_address(request.scope)
        self._clients.report(client, decision.status, decision.code, request.method)
        return self._forms.of(request.scope).respond(decision.reply()), request.scope

    async def _decide(
        self, request: Request, matched: Matched, body: Body | None
    ) -> Admission | AccessRefusal:
        if body is not None:
            body.check_declared()
        read_body = _no_body if body is None else body.peek
        decision = await self._admissions.decide(request, matched, read_body)
        if isinstance(decision, Admission) and body is not None:
            body.belongs_to(decision.caller.key_id)
        if isinstance(decision, Admission) and decision.rates:
            decision = self._counted(decision, leaves_refusal=matched.counts_rate)
        if isinstance(decision, Admission):
            decision = within_scope(decision, matched)
        if isinstance(decision, Admission) and matched.allowed:
            # Of all routes with this path; the framework names the methods of the first one alone.
            allowed = ", ".join(matched.allowed)
            message = f"This route takes {allowed}, not {request.method}; /docs lists all routes"
            headers = {**decision.headers, "Allow": allowed}
            return replace(WRONG_METHOD, message=message, headers=headers)
        if isinstance(decision, AccessRefusal) or matched.policy in _TAKES_ANY_BODY:
            return decision
        sends = request.method not in SAFE_METHODS and _declared_length(request.headers) != 0
        refusal = _wrong_type(request.headers, matched) if sends else None
        return refusal or decision

    def _counted(self, admission: Admission, *, leaves_refusal: bool) -> Admission | AccessRefusal:
        state = self._rates.count(admission.caller.key_id or "", admission.rates)
        if state.exceeded is None:
            return replace(admission, headers=state.headers)
        refusal = AccessRefusal(429, "rate_limited", state.message, headers=state.headers)
        return replace(admission, rate_refusal=refusal) if leaves_refusal else refusal


async def _no_body() -> bytes:
    return b""


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


def _is_for_a_browser(request: Request) -> bool:
    return request.method in READING and "text/html" in request.headers.get("accept", "")


def _wrong_type(headers: Headers, matched: Matched) -> AccessRefusal | None:
    """Return the refusal of a body by its type; None if the route takes it."""
    if matched.files is FileForms.BYTES:
        return None
    sent = media_type(headers.get("content-type", ""))
    if matched.policy in OF_PAGES:
        return None if sent == "application/x-www-form-urlencoded" else NO_PAGE_FORM
    if sent == "application/json" or (sent == FORM and matched.files is FileForms.FORM):
        return None
    return NO_JSON_OR_FORM if matched.files is FileForms.FORM else NO_JSON
