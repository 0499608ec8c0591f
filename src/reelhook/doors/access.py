"""Who may spend money: keys, known hosts, and what a web page must not be able to send.

A plain ASGI middleware, so that it sees every route, streams included, before anything is read.
"""

import hmac
import ipaddress
import sys
from dataclasses import dataclass
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from reelhook.domain.event import Instant
from reelhook.doors.bodies import Bodies
from reelhook.doors.clients import RefusedClients, client_address
from reelhook.doors.errors import error_response
from reelhook.doors.limits import Refusals
from reelhook.doors.proxies import came_through_proxy
from reelhook.ports import SOLE_HOLDER

CALLBACK_PATH = "/providers/"
JWKS_PATH = "/.well-known/webhooks/jwks.json"
_OPEN_PATHS = frozenset({"/healthz", "/readyz", JWKS_PATH})
_DOCUMENTS = frozenset({"/docs", "/redoc", "/openapi.json"})
_DOCUMENT_ASSETS = "/docs/"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound
DOWNLOAD_SIGNATURE = "signature"
OPERATOR_HEADER = "X-Reelhook-Operator"
_PROOF_MS = 60_000
_DIGITS_MAX = 18


@dataclass(frozen=True, slots=True)
class Access:
    """What the operator allows. Without an `api_key` only known hosts are answered.

    `hosts` None: any, for an application that we are mounted in and that guards its own door.
    `shared`: other processes use the same database, and any of them may ask for an API key.
    """

    api_key: str | None
    hosts: frozenset[str] | None
    download_key: str
    operator_key: str
    shared: bool

    def download_query(self, job_id: str) -> str:
        """Return the query that lets a webhook's receiver fetch one video without the key.

        It is empty only where no process can ask for a key. A worker can't tell by its own
        settings, and the webhooks that it writes keep their words for good.
        """
        if self.api_key is None and not self.shared:
            return ""
        return f"?{DOWNLOAD_SIGNATURE}={self._download_signature(job_id)}"

    def _download_signature(self, job_id: str) -> str:
        message = f"download:{job_id}".encode()
        return hmac.digest(self.download_key.encode(), message, sha256).hex()

    def has_key(self, headers: Headers) -> bool:
        """Whether the request brings the API key. Compares in constant time."""
        given = _bearer(headers)
        if self.api_key is None or given is None:
            return False
        return hmac.compare_digest(given.encode(), self.api_key.encode())

    def knows_host(self, headers: Headers) -> bool:
        """Whether the request was meant for us, and not for a name that a web page controls."""
        if self.hosts is None:
            return True
        name = _host_name(headers.get("host", ""))
        if name in _LOOPBACK_NAMES or name in self.hosts:
            return True
        # A wildcard bind answers on every address of the machine; no page can rebind a literal.
        return bool(self.hosts & _WILDCARDS) and _is_address(name)

    def may_download(self, job_id: str, signature: str) -> bool:
        """Whether a signed download link is ours."""
        return hmac.compare_digest(signature.encode(), self._download_signature(job_id).encode())

    def is_operator(self, request: Request, body: bytes, now: Instant) -> bool:
        """Whether the operator's own command line asks: it proves that it can read our database.

        `X-Reelhook-Operator` is `<milliseconds>.<hex HMAC of operator_proof>`, good for a minute.
        """
        moment, _, given = request.headers.get(OPERATOR_HEADER, "").partition(".")
        if not moment.isdecimal() or len(moment) > 15 or abs(now - int(moment)) > _PROOF_MS:
            return False
        expected = operator_proof(
            self.operator_key, int(moment), request.method, _path(request.scope), body
        )
        return hmac.compare_digest(f"{moment}.{given}".encode(), expected.encode())


def operator_proof(key: str, moment: Instant, method: str, path: str, body: bytes) -> str:
    """Return the value of `X-Reelhook-Operator` for one request."""
    message = f"{moment}.{method}.{path}.{sha256(body).hexdigest()}".encode()
    return f"{moment}.{hmac.digest(key.encode(), message, sha256).hex()}"


def holder_of(request: Request, access: Access) -> str:
    """Return whose idempotency keys the request's are.

    With an API key there is one client, whichever key it has at the moment: a rotation makes no
    new one. Without, whoever guards our door tells its clients apart by what they bring.
    """
    if access.api_key is not None:
        return SOLE_HOLDER
    return sha256((_bearer(request.headers) or "").encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class AccessRefusal:
    """Why a request is not let in."""

    status: int
    code: str
    message: str

    def response(self) -> JSONResponse:
        """Return what the client gets."""
        # RFC 9110, section 11.6.1: a 401 names the scheme that it asks for.
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else None
        return error_response(self.status, self.message, self.code, headers=headers)


NO_KEY = AccessRefusal(
    401, "unauthorized", "Send the API key: Authorization: Bearer <REELHOOK_API_KEY>"
)
PROXIED = AccessRefusal(
    403,
    "proxied_without_key",
    "This request came through a proxy, so that others may reach this server and spend money: "
    "set REELHOOK_API_KEY to a long random text, and send it as Authorization: Bearer",
)
UNKNOWN_HOST = AccessRefusal(
    400, "invalid_request", "This Host is not known here; add its name to REELHOOK_ALLOWED_HOSTS"
)
FOREIGN_ORIGIN = AccessRefusal(
    403, "forbidden", "Web pages of other origins may not do this; call from a server"
)
NO_JSON = AccessRefusal(
    415, "unsupported_media_type", "Send the body as JSON, with Content-Type: application/json"
)


class AccessMiddleware:
    """Refuses what `Access` does not allow, and bodies that are too large."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        bodies: Bodies,
        refusals: Refusals,
        clients: RefusedClients,
    ) -> None:
        self._app = app
        self._access = access
        self._bodies = bodies
        self._refusals = refusals
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        declared = _declared_length(request.headers)
        refusal = self._refusal(request, declared)
        answer = self._app if refusal is None else self._told(refusal, request)
        if not _brings_body(request.headers):
            await answer(scope, receive, send)
            return
        body = self._bodies.body(
            receive, declared, awaits_continue=_awaits_continue(request.headers)
        )
        try:
            await answer(scope, body.receive, body.answered_by(send))
        finally:
            body.close()

    def _told(self, refusal: AccessRefusal, request: Request) -> ASGIApp:
        client = client_address(request.scope)
        self._clients.tell(client, refusal.status, refusal.code, request.method)
        return refusal.response()

    def _refusal(self, request: Request, declared: int | None) -> AccessRefusal | None:
        headers, path = request.headers, _path(request.scope)
        if declared is not None and declared > self._bodies.limits.body_bytes:
            too_large = self._bodies.too_large()
            self._refusals.count(too_large.code, too_large.detail)
            return AccessRefusal(too_large.status_code, too_large.code, too_large.detail)
        if path in _OPEN_PATHS or path.startswith(CALLBACK_PATH):
            return None  # an address for providers is its own key
        if not self._access.has_key(headers) and not self._signed_download(request, path):
            if self._access.api_key is not None:
                return None if _reads_document(request.method, path) else NO_KEY
            if self._access.hosts is not None and came_through_proxy(headers):
                return PROXIED
            if not self._access.knows_host(headers):
                return UNKNOWN_HOST
            if request.method not in _SAFE_METHODS and self._foreign_origin(headers):
                return FOREIGN_ORIGIN
        if request.method not in _SAFE_METHODS and declared != 0 and not _is_json(headers):
            return NO_JSON
        return None

    def _signed_download(self, request: Request, path: str) -> bool:
        signature = request.query_params.get(DOWNLOAD_SIGNATURE)
        if signature is None or request.method not in _SAFE_METHODS:
            return False
        if path == "/api/download":
            return self._access.may_download(request.query_params.get("jobId", ""), signature)
        job_id = path.removeprefix("/api/sora/videos/").removesuffix("/download")
        return path == f"/api/sora/videos/{job_id}/download" and self._access.may_download(
            job_id, signature
        )

    def _foreign_origin(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return False
        return origin.partition("://")[2].lower() != headers.get("host", "").lower()


def _bearer(headers: Headers) -> str | None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def _reads_document(method: str, path: str) -> bool:
    """Whether it reads the API's description, which holds nothing of this installation."""
    known = path in _DOCUMENTS or path.startswith(_DOCUMENT_ASSETS)
    return known and method in {"GET", "HEAD"}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _path(scope: Scope) -> str:
    # Mounted in another application, the scope's path still starts with the mount point.
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def _declared_length(headers: Headers) -> int | None:
    """Return how long the body is; None where only its end tells that."""
    if "transfer-encoding" in headers:
        return None
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()):
        return 0
    return int(length) if len(length) < _DIGITS_MAX else sys.maxsize


def _brings_body(headers: Headers) -> bool:
    return "content-length" in headers or "transfer-encoding" in headers


def _awaits_continue(headers: Headers) -> bool:
    return headers.get("expect", "").lower() == "100-continue"


def _is_json(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"
