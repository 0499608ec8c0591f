"""The context that every route gets: the gateway, the caller, and the operator's options."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Protocol
from urllib.parse import quote

from fastapi import Depends, Request

from reelhook.domain.caller import Caller
from reelhook.domain.signing_keys import PublicKey
from reelhook.doors.access import OPERATOR_HEADER, Access
from reelhook.doors.clients import RefusedClients, client_address
from reelhook.doors.guard import CALLER
from reelhook.doors.limits import Limits
from reelhook.gateway import Clock, Gateway


class UrlCheck(Protocol):
    """Checks a URL from a request: that of a webhook, or of a first image."""

    async def __call__(self, url: str, *, field: str = "webhookUrl", trusted: bool = False) -> None:
        """Raise `WebhookUrlRefusedError`, naming the field, if no request may go there.

        For the field `image` it is `ImageUrlRefusedError`: the provider fetches the image, and may
        be in the operator's network. `trusted`: the operator chose the URL, so only its syntax is
        checked.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The operator's settings that routes need."""

    access: Access
    public_url: str
    default_model: str | None
    check_url: UrlCheck
    clock: Clock
    public_keys: tuple[PublicKey, ...] = ()
    limits: Limits = field(default_factory=Limits)
    clients: RefusedClients = field(default_factory=RefusedClients)

    def video_url(self, job_id: str) -> str:
        """Return the stable address of a job's video."""
        query = self.access.download_query(job_id)
        return f"{self.public_url}/api/sora/videos/{quote(job_id, safe='')}/download{query}"


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one request."""

    request: Request
    caller: Caller
    gateway: Gateway
    options: HttpOptions


# Asynchronous, since FastAPI runs other dependencies in a thread.
async def _context(request: Request) -> Context:
    state = request.app.state
    options: HttpOptions = state.options
    caller = replace(request.scope[CALLER], address=client_address(request.scope))
    if OPERATOR_HEADER in request.headers:
        proven = options.access.is_operator(request, await request.body(), options.clock.now())
        caller = replace(caller, proven=proven)
    return Context(request, caller, state.gateway, options)


ContextOf = Annotated[Context, Depends(_context)]
