"""The OpenAPI document: its parts that follow from the guard, and the route that serves it."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reelhook.doors.policy import DeclaredRoutes, Policy, PolicyRoute

_WITHOUT_KEY = frozenset({Policy.OPEN, Policy.CALLBACK})
_SECONDS = {"description": "Seconds", "schema": {"type": "integer"}}
_SCHEME = {"description": "The scheme of the key", "schema": {"type": "string"}}
_REFUSALS = {
    "400": "A field is wrong; or the `Host` is not accepted",
    "401": "No valid key",
    "403": "The key may not do this",
    "429": "Too many requests",
}
_REFUSALS_OF_BODIES = {"413": "The body is too large", "415": "The body has another type"}
_HEADERS: Mapping[str, Any] = {
    "401": {"WWW-Authenticate": _SCHEME},
    "429": {"Retry-After": _SECONDS},
}


def described(
    app: FastAPI, routes: DeclaredRoutes, more: Mapping[int | str, Any], *, with_key: bool
) -> dict[str, Any]:
    """Return the document of an application, with the guard's refusals of each route.

    `more` are the responses that every route may give. `with_key`: also the key, so that the page
    of the documentation can send it.
    """
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=[one.documented(more) for one, _ in routes if isinstance(one, PolicyRoute)],
    )
    for operation, policy in _operations(document, routes):
        _describe_refusals(operation, policy)
        if with_key and policy in _WITHOUT_KEY:
            operation["security"] = []
    if with_key:
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["key"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "A project's key, or the server's REELHOOK_API_KEY",
        }
        document["security"] = [{"key": []}]
    return document


def serve_document(app: FastAPI) -> None:
    """Serve the document as bytes that are made once, in a thread.

    To make it takes half a second, and to write it as JSON takes 10 ms. FastAPI's own route does
    that on the event loop, for clients without a key too.
    """
    url = str(app.openapi_url)
    served = Route(url, _Document(app).respond, include_in_schema=False)
    routes = app.router.routes
    routes[:] = [served if isinstance(one, Route) and one.path == url else one for one in routes]


class _Document:
    """The document of an application, as the responses to requests for it."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._made: tuple[str, bytes] | None = None
        self._making = asyncio.Lock()

    async def respond(self, request: Request) -> Response:
        """Return the document. It names the path below which it was requested, as its server."""
        root = request.scope.get("root_path", "").rstrip("/")
        async with self._making:
            if self._made is None or self._made[0] != root:
                self._made = (root, await asyncio.to_thread(self._make, root))
            _, content = self._made
        return Response(content, media_type="application/json")

    def _make(self, root: str) -> bytes:
        document = self._app.openapi()
        if root:
            document = {**document, "servers": [{"url": root}]}
        return bytes(JSONResponse(document).body)


def _operations(
    document: dict[str, Any], routes: DeclaredRoutes
) -> Iterator[tuple[dict[str, Any], Policy]]:
    """Iterate over the operations of the document, with the policies of their routes."""
    for route, policy in routes:
        if isinstance(route, APIRoute):
            operations = document["paths"].get(route.path_format, {})
            for method in (route.methods or set()) & {one.upper() for one in operations}:
                yield operations[method.lower()], policy


def _describe_refusals(operation: dict[str, Any], policy: Policy) -> None:
    """Add the guard's refusals, and the bodies of errors, in the form of the door."""
    responses = operation["responses"]
    refusals = {} if policy in _WITHOUT_KEY else dict(_REFUSALS)
    if "requestBody" in operation:
        refusals |= _REFUSALS_OF_BODIES
    for status, meaning in refusals.items():
        response = responses.setdefault(status, {**responses["4XX"], "description": meaning})
        response["headers"] = response.get("headers", {}) | _HEADERS.get(status, {})
    for status, response in responses.items():
        if status[0] in "45" and "content" not in response:
            response["content"] = responses[f"{status[0]}XX"]["content"]
    # In the order of their statuses: ranges stand for all that is not listed.
    operation["responses"] = {status: responses[status] for status in sorted(responses)}
