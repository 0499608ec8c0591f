"""The parts of the OpenAPI document that follow from the guard: the key, and its refusals."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from reelhook.doors.policy import DeclaredRoutes, Policy

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


def describe_guard(app: FastAPI, routes: DeclaredRoutes, *, with_key: bool) -> None:
    """Describe the guard's refusals of each route.

    `with_key`: also the key, so that the page of the documentation can send it.
    """
    described = app.openapi

    def with_guard() -> dict[str, Any]:
        document = described()
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

    app.openapi = with_guard  # type: ignore[method-assign] # FastAPI's documented way


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
