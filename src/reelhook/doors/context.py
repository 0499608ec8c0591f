"""The context that every route gets: the gateway, the caller, and the operator's options."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Annotated, Protocol
from urllib.parse import quote

from fastapi import Depends, Query, Request

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.event import Instant
from reelhook.domain.signing_keys import PublicKey
from reelhook.doors.access import OPERATOR_HEADER, Access
from reelhook.doors.clients import RefusedClients, client_address
from reelhook.doors.guard import CALLER, CREDENTIAL
from reelhook.doors.limits import Limits
from reelhook.gateway import Clock, Gateway, Lifetime, RequestCredential


class UrlCheck(Protocol):
    """Checks a URL from a request: that of a webhook, or of an image, a video or a sound."""

    async def __call__(
        self, url: str, *, field: str = "webhookUrl", trusted: bool = False, media: bool = False
    ) -> None:
        """Raise `WebhookUrlRefusedError`, naming the field, if no request may go there.

        With `media` it is `ImageUrlRefusedError`: the provider fetches the file, and may be in the
        operator's network. `trusted`: the operator chose the URL, so only its syntax is checked.
        """
        ...


class CheckResult(Protocol):
    """The result of one check of the installation."""

    @property
    def subject(self) -> str:
        """The thing that was checked."""
        ...

    @property
    def verdict(self) -> str:
        """Its state: `ok`, `warning` or `failed`."""
        ...

    @property
    def message(self) -> str:
        """The result in one sentence, with the remedy."""
        ...


Examine = Callable[[], Awaitable[Sequence[CheckResult]]]
"""Checks the installation, as `reelhook doctor` does."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The operator's settings that routes need."""

    access: Access
    public_url: str
    default_model: str | None
    check_url: UrlCheck
    clock: Clock
    public_keys: tuple[PublicKey, ...] = ()
    cors_origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    clients: RefusedClients = field(default_factory=RefusedClients)
    poll_seconds: float = 5.0
    examine: Examine | None = None

    def video_url(self, job_id: str, made_at: Instant | None = None, *, signed: bool = True) -> str:
        """Return the address of a job's video, signed at this time; None: now.

        It is stable, unless signatures expire.
        """
        return self._file_url(job_id, "download", made_at, signed=signed)

    def poster_url(
        self, job_id: str, made_at: Instant | None = None, *, signed: bool = True
    ) -> str:
        """Return the address of a job's poster, signed like that of its video."""
        return self._file_url(job_id, "poster", made_at, signed=signed)

    def _file_url(self, job_id: str, file: str, made_at: Instant | None, *, signed: bool) -> str:
        query = ""
        if signed:
            now = self.clock.now() if made_at is None else made_at
            query = self.access.download_query(job_id, now)
        return f"{self.public_url}/api/sora/videos/{quote(job_id, safe='')}/{file}{query}"


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one request."""

    request: Request
    caller: Caller
    gateway: Gateway
    options: HttpOptions

    async def within(self, project: str | None) -> "Context":
        """Return the context of a project that the request names; None: it names none.

        Raises `ProjectNotFoundError` unless the caller is the operator, or has a key of it.
        """
        if project is None:
            return self
        caller = await self.gateway.authentication.within(self.caller, project)
        return replace(self, caller=caller)

    @property
    def by_browser_token(self) -> bool:
        """True if the caller has a browser token, which must hand out nothing that outlives it."""
        return self.credential.one_job

    @property
    def credential(self) -> RequestCredential:
        """The means by which the request was let in."""
        credential: RequestCredential = self.request.scope[CREDENTIAL]
        return credential

    def video_url(self, job_id: str) -> str:
        """Return the address of a job's video, signed unless the caller adds its own token."""
        return self.options.video_url(job_id, signed=not self.by_browser_token)

    def poster_url(self, job_id: str) -> str:
        """Return the address of a job's poster, signed like that of its video."""
        return self.options.poster_url(job_id, signed=not self.by_browser_token)

    def lifetime(self, wake: Callable[[], None]) -> AbstractContextManager[Lifetime]:
        """Watch the request's credential until the block ends; `wake` is called at its end."""
        return self.gateway.authentication.lifetime(self.credential, wake)


# Asynchronous, since FastAPI runs other dependencies in a thread.
async def _context(
    request: Request,
    chosen_project: Annotated[
        str | None,
        Query(
            alias="project",
            description="For the operator: the id or name of the project to act in",
        ),
    ] = None,
) -> Context:
    state = request.app.state
    options: HttpOptions = state.options
    caller = replace(request.scope[CALLER], address=client_address(request.scope))
    if OPERATOR_HEADER in request.headers:
        proven = await options.access.is_operator(request, request.body, options.clock.now())
        caller = replace(caller, proven=proven)
    context = Context(request, caller, state.gateway, options)
    # Callers without a key, such as providers, choose nothing.
    chooses = caller.allows(Scope.OPERATOR) or caller.key_id is not None
    return await context.within(chosen_project if chooses else None)


ContextOf = Annotated[Context, Depends(_context)]
