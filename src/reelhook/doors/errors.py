"""Errors as JSON `{error, code}`, each with its HTTP status."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException

from reelhook.domain.api_key import GrantTooWideError, KeyEndedError, KeyRefusedError
from reelhook.domain.caller import ModelNotAllowedError, ScopeMissingError
from reelhook.domain.conflicts import ProjectClosedError
from reelhook.domain.encryption import NoEncryptionKeyError
from reelhook.domain.errors import (
    CommitUnknownError,
    ContentMissingError,
    ContentNotReadyError,
    EndpointConflictError,
    Fact,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    JobConflictError,
    NotFoundError,
    ProjectConflictError,
    ProviderError,
    ReelhookError,
    StoreError,
    UnknownCallbackError,
    WebhookVerificationError,
)
from reelhook.doors.clients import RefusedClients, client_address
from reelhook.doors.error_messages import http_message
from reelhook.doors.limits import LimitError, Refusals
from reelhook.doors.request_messages import request_message, wire_name

log = structlog.get_logger()
RETRY_AFTER_SECONDS = "5"
STORE_MESSAGE = "The database can't be used now; nothing was written, so send it again later"
NO_RETRY = {"x-should-retry": "false"}
"""Keeps the official client libraries from repeating a 500 on their own."""

_STATUS: Sequence[tuple[type[ReelhookError], int]] = (
    (InvalidRequestError, 400),
    (NotFoundError, 404),
    (UnknownCallbackError, 404),
    (WebhookVerificationError, 401),
    (ContentNotReadyError, 404),
    (ScopeMissingError, 403),
    (ModelNotAllowedError, 403),
    (GrantTooWideError, 403),
    (KeyRefusedError, 401),
    (KeyEndedError, 409),
    (JobConflictError, 409),
    (EndpointConflictError, 409),
    (ProjectConflictError, 409),
    (ProjectClosedError, 403),
    (NoEncryptionKeyError, 409),
    (ContentMissingError, 410),
    (IdempotencyKeyReusedError, 422),
    (ProviderError, 502),
)
_HTTP_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    503: "unavailable",
}
_MESSAGES = {
    # FastAPI's own messages for these name no remedy.
    400: "The body can't be read; send a JSON object in UTF-8",
    404: "No such route; /docs lists them all",
    405: "This route does not support this method; /docs lists them all",
}
_REMEDIES = {
    "ours": "{refusal}",
    "missing": "is required",
    "string_type": "must be a string",
    "string_unicode": "must be Unicode text; it has half of a surrogate pair",
    "nul": "must not contain NUL characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_short": "must name at least {min_length}",
    "too_long": "must name at most {max_length}",
    "timezone_aware": "must have a time zone, e.g. 2026-01-31T10:00Z",
    "datetime_from_date_parsing": "must be a time with its time zone, e.g. 2026-01-31T10:00Z",
    "datetime_parsing": "must be a time with its time zone, e.g. 2026-01-31T10:00Z",
    "datetime_type": "must be a time with its time zone, e.g. 2026-01-31T10:00Z",
    "literal_error": "must be one of {expected}",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_pattern_mismatch": "has a form that is not allowed: it must match {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "extra_forbidden": "is no field of this body; correct its name, or leave it out",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
}


def error_response(
    status: int,
    message: str,
    code: str | None = None,
    *,
    field: str | None = None,
    problem: str | None = None,
    facts: Mapping[str, Fact] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return an error in the form of all errors.

    The message may quote text from outside, with lone surrogates, which JSON can't carry.
    """
    sendable = message.encode(errors="replace").decode()
    content: dict[str, Any] = {"error": sendable, "code": code or _HTTP_CODES.get(status, "error")}
    content |= {to_camel(name): fact for name, fact in (facts or {}).items()}
    if problem is not None:
        content["problem"] = problem
    if field is not None:
        content["field"] = field
    return JSONResponse(content, status, headers)


def install_errors(app: FastAPI, refusals: Refusals, clients: RefusedClients) -> None:
    """Turn every error of the routes into a response of that form."""

    @app.exception_handler(ReelhookError)
    async def _ours(request: Request, error: ReelhookError) -> JSONResponse:
        status = next((s for kind, s in _STATUS if isinstance(error, kind)), 500)
        if status == 401:
            clients.report(client_address(request.scope), status, error.code, request.method)
        field = wire_name(error.field) if isinstance(error, InvalidRequestError) else None
        if isinstance(error, InvalidRequestError) and (message := request_message(error)):
            return error_response(status, message, error.code, field=field)
        return error_response(
            status,
            http_message(error),
            error.code,
            field=field,
            problem=error.problem,
            facts=error.facts,
        )

    @app.exception_handler(StoreError)
    async def _store(request: Request, error: StoreError) -> JSONResponse:
        # The database's own message may contain other clients' data, so it is only logged.
        route = getattr(request.scope.get("route"), "path", None)  # a whole path may be a secret
        log.warning("http.store_failed", route=route, error=error.message)
        headers = {"Retry-After": RETRY_AFTER_SECONDS}
        return error_response(503, STORE_MESSAGE, error.code, headers=headers)

    @app.exception_handler(CommitUnknownError)
    async def _unknown(_: Request, error: CommitUnknownError) -> JSONResponse:
        message = http_message(error)
        return error_response(500, message, error.code, facts=error.facts, headers=NO_RETRY)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        message, field = _sentence(error.errors()[0])
        return error_response(400, message, field=field)

    @app.exception_handler(LimitError)
    async def _limit(request: Request, error: LimitError) -> JSONResponse:
        refusals.count(error.code, error.detail)
        client = client_address(request.scope)
        clients.report(client, error.status_code, error.code, request.method)
        headers = dict(error.headers or {})
        return error_response(error.status_code, error.detail, error.code, headers=headers)

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        message = _MESSAGES.get(error.status_code, error.detail)
        return error_response(error.status_code, message, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("http.failed", path=_shown_path(request.url.path), exc_info=error)
        return error_response(500, "reelhook failed; its log says why", "internal_error")


def _shown_path(path: str) -> str:
    """Return a path as logs show it: the last part of a provider's callback address is a secret."""
    return f"{path.rpartition('/')[0]}/..." if "/providers/" in path else path


def _sentence(problem: Any) -> tuple[str, str | None]:
    """Return a sentence about one validation problem, with the field and the remedy."""
    path = [str(part) for part in problem["loc"][1:]]
    kind = str(problem["type"])
    if kind == "json_invalid":
        return "The body is not valid JSON; send a JSON object", None
    if not path:
        return "The body must be a JSON object, with Content-Type: application/json", None
    field = ".".join(path)
    remedy = _REMEDIES.get(kind)
    if kind == "string_too_short" and problem["ctx"]["min_length"] == 1:
        remedy = "must not be empty"
    if remedy is None:
        return f"{field}: {problem['msg']}", field
    return f"{field} {remedy.format_map(problem.get('ctx', {}))}", field
