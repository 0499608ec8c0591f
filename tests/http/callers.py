"""Requests of callers who have no key: a test says in a header which project one is in."""

from typing import Any

from gateways import Gateway
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from reelhook.domain.caller import Caller
from reelhook.domain.caller import Scope as KeyScope
from reelhook.doors.guard import CALLER

HEADER = "X-Test-Project"
OURS, THEIRS = "prj_ours", "prj_theirs"
AS_OURS, AS_THEIRS = {HEADER: OURS}, {HEADER: THEIRS}


def caller(project: str) -> Caller:
    """Return the holder of a key to everything in a project."""
    return Caller(project, frozenset({KeyScope.ADMIN}), key_id=f"key_of_{project}")


class _Callers:
    """Stands behind the guard, which let the request in as the operator's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        project = Headers(scope=scope).get(HEADER)
        named = {} if project is None else {CALLER: caller(project)}
        await self._app({**scope, **named}, receive, send)


def admit_callers(server: Gateway) -> None:
    """Let requests with the header in as callers of that project; others stay the operator's."""
    app: Any = server.hook.asgi
    app.user_middleware.append(Middleware(_Callers))
