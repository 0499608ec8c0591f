"""Requests of callers who have no key: a test says in a header which project one is in."""

from typing import Any

from fastapi import Request
from gateways import Gateway

from reelhook.domain.caller import OPERATOR, Caller, Scope
from reelhook.doors import context as contexts

HEADER = "X-Test-Project"
OURS, THEIRS = "prj_ours", "prj_theirs"
AS_OURS, AS_THEIRS = {HEADER: OURS}, {HEADER: THEIRS}


def caller(project: str) -> Caller:
    """Return the holder of a key to everything in a project."""
    return Caller(project, frozenset({Scope.ADMIN}), key_id=f"key_of_{project}")


def admit_callers(server: Gateway) -> None:
    """Let requests with the header in as callers of that project; others stay the operator's."""

    async def context(request: Request) -> contexts.Context:
        state, project = request.app.state, request.headers.get(HEADER)
        who = OPERATOR if project is None else caller(project)
        return contexts.Context(request, who, state.gateway, state.options)

    app: Any = server.hook.asgi
    app.dependency_overrides[contexts._context] = context
