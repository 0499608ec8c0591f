"""The credentials of requests: the API key, signed links, the operator's proof, known hosts."""

import hmac
import ipaddress
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

from reelhook.domain.browser_token import BrowserToken, read_browser_token
from reelhook.domain.event import Instant
from reelhook.domain.file_link import FileLinks
from reelhook.gateway import SOLE_HOLDER

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound
OPERATOR_HEADER = "X-Reelhook-Operator"
_PROOF_MILLISECONDS = 60_000
ReadBody = Callable[[], Awaitable[bytes]]


@dataclass(slots=True)
class KeyMade:
    """Remembers that a project's key was ever made: from then on, requests need a key."""

    known: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """The operator's rules. Without an `api_key`, only requests to known hosts are served.

    `hosts` None: any host, for an application that mounts this one and checks hosts itself.
    `shared`: other processes use the same database, and any of them may require an API key.
    `link_seconds` None: signed links don't expire.
    """

    api_key: str | None = field(repr=False)
    hosts: frozenset[str] | None
    download_key: str = field(repr=False)
    operator_key: str = field(repr=False)
    browser_key: str = field(repr=False)
    key_made: KeyMade
    shared: bool
    link_seconds: float | None = None

    @property
    def links(self) -> FileLinks:
        """The links that open the files of one job without the key."""
        return FileLinks(self.download_key, self.link_seconds)

    def download_query(self, job_id: str, made_at: Instant) -> str:
        """Return the query that lets a webhook's receiver fetch one job's files without the key.

        It is empty only if no process requires a key. A worker can't see that in its own settings,
        and the text of a webhook never changes once it is written.
        """
        if self.api_key is None and not self.shared and not self.key_made.known:
            return ""
        return self.links.query(job_id, made_at)

    def callback_secret(self, call: str) -> str:
        """Return the secret that signs the webhooks of one call: the same whenever it is repeated.

        It is in the form of Standard Webhooks.
        """
        digest = hmac.digest(self.download_key.encode(), f"callback:{call}".encode(), sha256)
        return f"whsec_{b64encode(digest).decode()}"

    def is_key(self, text: str | None) -> bool:
        """Return True if the text is the API key. Compares in constant time."""
        if self.api_key is None or text is None:
            return False
        return hmac.compare_digest(text.encode(), self.api_key.encode())

    def knows_host(self, headers: Headers) -> bool:
        """Return True if the `Host` is ours, and not a name that a web page controls."""
        if self.hosts is None:
            return True
        name = _host_name(headers.get("host", ""))
        if name in _LOOPBACK_NAMES or name in self.hosts:
            return True
        # A wildcard bind serves every address of the machine. No page can rebind an IP address.
        return bool(self.hosts & _WILDCARDS) and _is_address(name)

    def browser_token(self, token: BrowserToken) -> str:
        """Return the text of a browser token."""
        return token.signed(self._browser_secret(token.key_id))

    def read_browser_token(self, text: str) -> BrowserToken | None:
        """Return the content of a browser token, even of an expired one; None if it isn't ours."""
        for of_operator in (False, True):
            key_id = None if of_operator else ""
            token = read_browser_token(text, self._browser_secret(key_id))
            if token is not None and (token.key_id is None) is of_operator:
                return token
        return None

    def _browser_secret(self, key_id: str | None) -> str:
        # The operator's tokens end with the API key that made them.
        if key_id is not None:
            return self.browser_key
        api_key = (self.api_key or "").encode()
        return hmac.digest(self.browser_key.encode(), api_key, sha256).hex()

    async def is_operator(self, request: Request, read_body: ReadBody, now: Instant) -> bool:
        """Return True if the request proves that its sender can read our database.

        `X-Reelhook-Operator` is the value of `operator_proof`, valid for a minute. The body is read
        only for someone who has our key: nobody else can make us wait for one.
        """
        digest = self._proven_digest(request, now)
        if digest is None:
            return False
        return hmac.compare_digest(digest, sha256(await read_body()).hexdigest())

    def _proven_digest(self, request: Request, now: Instant) -> str | None:
        """Return the digest of the body in the request's proof; None if there is no valid proof."""
        proof = request.headers.get(OPERATOR_HEADER, "")
        made_at, _, rest = proof.partition(".")
        digest = rest.partition(".")[0]
        if not (made_at.isascii() and made_at.isdecimal()) or len(made_at) > 15:
            return None
        if abs(now - int(made_at)) > _PROOF_MILLISECONDS:
            return None
        path = route_path(request.scope)
        expected = _proof(self.operator_key, int(made_at), request.method, path, digest)
        return digest if hmac.compare_digest(proof.encode(), expected.encode()) else None


def operator_proof(key: str, made_at: Instant, method: str, path: str, body: bytes) -> str:
    """Return the value of `X-Reelhook-Operator` for one request.

    It is `<milliseconds>.<hex SHA-256 of the body>.<hex HMAC>`.
    """
    return _proof(key, made_at, method, path, sha256(body).hexdigest())


def _proof(key: str, made_at: Instant, method: str, path: str, digest: str) -> str:
    message = f"{made_at}.{method}.{path}.{digest}".encode()
    return f"{made_at}.{digest}.{hmac.digest(key.encode(), message, sha256).hex()}"


def holder_of(request: Request, access: Access) -> str:
    """Return the holder of the request's idempotency key.

    With an API key there is one holder, which a rotation of the key does not change. Without an API
    key, the surrounding application distinguishes its clients by their own bearer tokens.
    """
    if access.api_key is not None:
        return SOLE_HOLDER
    return sha256((bearer(request.headers) or "").encode()).hexdigest()[:32]


def bearer(headers: Headers) -> str | None:
    """Return the bearer token of a request, if it has one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def own_origins(headers: Headers, public_url: str) -> set[str]:
    """Return the origins by which the browser that sent a request may know this server."""
    public, host = urlsplit(public_url), headers.get("host", "")
    # Behind a proxy that ends TLS, the scheme is not known here; the host is what counts.
    return {f"{public.scheme}://{public.netloc}", f"http://{host}", f"https://{host}"}


def route_path(scope: Scope) -> str:
    """Return the path of a request within this application."""
    # In an application that mounts us, the scope's path still starts with the mount point.
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()
