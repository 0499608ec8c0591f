"""Admission: finds the caller of a request by its credentials, or the reason to refuse it."""

from dataclasses import dataclass, field, replace

from starlette.datastructures import Headers
from starlette.requests import Request

from reelhook.domain.api_key import PREFIX as KEY_PREFIX
from reelhook.domain.api_key import KeyRefusedError, is_token
from reelhook.domain.browser_token import BrowserToken, is_browser_token
from reelhook.domain.caller import (
    ANONYMOUS,
    DOWNLOADER,
    OPERATOR,
    PROVIDER,
    Caller,
    Rate,
    Scope,
    ScopeMissingError,
)
from reelhook.domain.errors import Fact, ReelhookError, StoreError
from reelhook.domain.event import Instant
from reelhook.domain.file_link import EXPIRES, SIGNATURE, LinkState
from reelhook.doors.access import Access, ReadBody, bearer
from reelhook.doors.error_form import ErrorReply
from reelhook.doors.error_messages import http_message
from reelhook.doors.errors import RETRY_AFTER_SECONDS, STORE_MESSAGE
from reelhook.doors.policy import Matched, Policy
from reelhook.doors.proxies import came_through_proxy
from reelhook.doors.sessions import Sessions
from reelhook.gateway import Authentication, Clock, RequestCredential

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
TOKEN_PARAMETER = "token"  # noqa: S105 - its name
_READING_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class AccessRefusal:
    """The reason why a request is refused."""

    status: int
    code: str
    message: str
    problem: str | None = None
    facts: dict[str, Fact] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: ReelhookError, status: int) -> "AccessRefusal":
        """Return the refusal that an error is."""
        return cls(status, error.code, http_message(error), error.problem, error.facts)

    def reply(self) -> ErrorReply:
        """Return the reply to the client."""
        # RFC 9110, section 11.6.1: a 401 names the scheme that it asks for.
        scheme = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        return ErrorReply(
            self.status,
            self.message,
            self.code,
            problem=self.problem,
            facts=self.facts,
            headers={**scheme, **self.headers},
        )


@dataclass(frozen=True, slots=True)
class Admission:
    """The caller of a request, and the credential that let it in.

    `rates` limit the key's requests; `headers` are added to the response. `rate_refusal` is left to
    the route, which may serve the request anyway.
    """

    caller: Caller
    credential: RequestCredential = field(default_factory=RequestCredential)
    rates: tuple[Rate, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    rate_refusal: AccessRefusal | None = None


NO_KEY = AccessRefusal(
    401,
    "unauthorized",
    "Send a key: Authorization: Bearer <REELHOOK_API_KEY, or a project's key>",
)
UNKNOWN_KEY = AccessRefusal(
    401,
    "unauthorized",
    "This key is not known here; send REELHOOK_API_KEY, or a project's key, as "
    "Authorization: Bearer",
)
LINK_EXPIRED = AccessRefusal(
    410,
    "link_expired",
    "This link has expired. Get a new one with a key: GET /api/videos/status/<jobId>, or "
    "GET /api/jobs/<jobId>, returns it as videoUrl",
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
NO_SESSION = AccessRefusal(401, "unauthorized", "Log in with a key")
TOKEN_TOO_NARROW = AccessRefusal(
    403,
    "forbidden",
    "A browser token reads the status, the events and the video of its own job, and nothing else; "
    "send a key",
)
NO_DATABASE = AccessRefusal(
    503, StoreError.code, STORE_MESSAGE, headers={"Retry-After": RETRY_AFTER_SECONDS}
)


def within_scope(admission: Admission, matched: Matched) -> Admission | AccessRefusal:
    """Return the admission, or the refusal of a caller that lacks the scope of the route."""
    caller, need = admission.caller, matched.need
    if need is None or caller in {ANONYMOUS, DOWNLOADER} or caller.allows(need.scope):
        return admission
    refusal = AccessRefusal.of(ScopeMissingError(need.scope), 403)
    return replace(refusal, headers=admission.headers)


class Admissions:
    """Decides who a request comes from. A key that can't be checked lets nobody in."""

    def __init__(self, access: Access, authentication: Authentication, clock: Clock) -> None:
        self._access = access
        self._sessions = Sessions(access)
        self._authentication = authentication
        self._clock = clock

    async def decide(
        self, request: Request, matched: Matched, read_body: ReadBody
    ) -> Admission | AccessRefusal:
        """Return the caller, or a refusal. `read_body` is called only for an operator's proof."""
        if matched.policy in {Policy.OPEN, Policy.OPEN_PAGE}:
            return Admission(ANONYMOUS)
        if matched.policy is Policy.CALLBACK:
            return Admission(PROVIDER)
        link = self._link(request, matched)
        if link is LinkState.VALID and not self._access.is_key(bearer(request.headers)):
            return Admission(DOWNLOADER, RequestCredential(expires_at=_end_of_link(request)))
        try:
            if matched.policy is Policy.PAGE:
                return await self._by_session(request, matched)
            decision = await self._admitted(request, matched, read_body)
            no_key = decision is NO_KEY or decision is UNKNOWN_KEY
            return LINK_EXPIRED if no_key and link is LinkState.EXPIRED else decision
        except KeyRefusedError as error:
            return AccessRefusal.of(error, 401)
        except StoreError:
            return NO_DATABASE

    async def _admitted(
        self, request: Request, matched: Matched, read_body: ReadBody
    ) -> Admission | AccessRefusal:
        text = bearer(request.headers)
        if self._access.is_key(text):
            return Admission(OPERATOR)
        if text is None and request.method in _READING_METHODS:
            # A key must not be there: addresses are kept by proxies and browsers.
            named = request.query_params.get(TOKEN_PARAMETER)
            text = named if named is not None and is_browser_token(named) else None
        if text is not None and is_browser_token(text):
            return await self._by_token(self._access.read_browser_token(text), request, matched)
        if text is not None and text.startswith(KEY_PREFIX):
            found = await self._authentication.key(text) if is_token(text) else None
            if found is None:
                return UNKNOWN_KEY
            grant, credential = found
            return Admission(grant.caller, credential, grant.key.rates)
        if await self._key_required(matched):
            return await self._without_key(request, matched, read_body)
        return self._where_no_key_exists(request)

    async def _by_session(self, request: Request, matched: Matched) -> Admission | AccessRefusal:
        session = self._sessions.read(request.cookies, self._clock.now())
        if session is not None and session.key_hash is None:
            return Admission(OPERATOR, RequestCredential(expires_at=session.expires_at))
        if session is not None and session.key_hash is not None:
            expires_at = session.expires_at
            found = await self._authentication.key_of_hash(session.key_hash, expires_at)
            if found is not None:
                grant, credential = found
                # A page that reads is part of a person's work, not one of a program's requests.
                rates = () if request.method in SAFE_METHODS else grant.key.rates
                return Admission(grant.caller, credential, rates)
        if await self._key_required(matched):
            return NO_SESSION
        return self._where_no_key_exists(request)

    async def _by_token(
        self, token: BrowserToken | None, request: Request, matched: Matched
    ) -> Admission | AccessRefusal:
        if token is None:
            return NO_KEY
        if token.key_id is not None:
            found = await self._authentication.key_of_token(token.key_id, token.expires_at)
            if found is None:
                return NO_KEY
            grant, credential = found
            rates = grant.key.rates
        else:
            if self._access.api_key is None and await self._authentication.key_required():
                return NO_KEY  # it was made before a key was needed
            self._authentication.check_expiry(token.expires_at)
            # Like a caller without a key, it is refused once a key is needed.
            until_key = self._access.api_key is None
            credential = RequestCredential(None, token.expires_at, until_key, one_job=True)
            rates = ()
        if (
            request.method not in _READING_METHODS
            or matched.only_job(request.query_params) != token.job_id
        ):
            return TOKEN_TOO_NARROW
        caller = Caller(token.project, frozenset({Scope.READ}), key_id=token.key_id)
        return Admission(caller, credential, rates)

    async def _key_required(self, matched: Matched) -> bool:
        if self._access.api_key is not None:
            return True
        try:
            required = await self._authentication.key_required()
            self._access.key_made.known |= required
            return required
        except StoreError:
            if matched.policy is Policy.DOCUMENT:
                return True  # documents reveal nothing, so they need no database
            raise

    async def _without_key(
        self, request: Request, matched: Matched, read_body: ReadBody
    ) -> Admission | AccessRefusal:
        if matched.policy is Policy.DOCUMENT and request.method in _READING_METHODS:
            return Admission(ANONYMOUS)
        # Without REELHOOK_API_KEY, only the one who reads the database is the operator.
        if self._access.api_key is None and await self._access.is_operator(
            request, read_body, self._clock.now()
        ):
            return Admission(OPERATOR)
        return NO_KEY if bearer(request.headers) is None else UNKNOWN_KEY

    def _where_no_key_exists(self, request: Request) -> Admission | AccessRefusal:
        headers = request.headers
        if self._access.hosts is not None and came_through_proxy(headers):
            return PROXIED
        if not self._access.knows_host(headers):
            return UNKNOWN_HOST
        if request.method not in SAFE_METHODS and _from_foreign_page(headers):
            return FOREIGN_ORIGIN
        return Admission(OPERATOR, RequestCredential(until_key=True))

    def _link(self, request: Request, matched: Matched) -> LinkState | None:
        """Return the state of the signed link that a request uses; None if it uses none."""
        query = request.query_params
        signature = query.get(SIGNATURE)
        if (
            signature is None
            or matched.policy is not Policy.SIGNED_DOWNLOAD
            or request.method not in SAFE_METHODS
        ):
            return None
        job_id = query.get("jobId", "") if matched.job_id is None else matched.job_id
        now = self._clock.now()
        return self._access.links.state(job_id, signature, query.get(EXPIRES), now)


def _end_of_link(request: Request) -> Instant | None:
    """Return the end of a valid link; None: it has none."""
    expires = request.query_params.get(EXPIRES)
    return None if expires is None else int(expires) * 1000


def _from_foreign_page(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return False
    return origin.partition("://")[2].lower() != headers.get("host", "").lower()
