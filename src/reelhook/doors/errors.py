"""Errors as JSON, each with its HTTP status: `{error, code}`, unless a door has another form."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reelhook.domain.api_key import GrantTooWideError, KeyEndedError, KeyRefusedError
from reelhook.domain.caller import ModelNotAllowedError, ScopeMissingError
from reelhook.domain.conflicts import ProjectClosedError
from reelhook.domain.encryption import NoEncryptionKeyError
from reelhook.domain.errors import (
    CommitUnknownError,
    ContentMissingError,
    ContentNotReadyError,
    EndpointConflictError,
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
from reelhook.domain.file_errors import (
    ArchivedFileUnavailableError,
    ContentRemovedError,
    PosterNotReadyError,
)
from reelhook.domain.upload import UploadKindError, UploadsFullError, UploadTooLargeError
from reelhook.doors.clients import RefusedClients, client_address
from reelhook.doors.error_form import ErrorForm, ErrorForms, ErrorReply
from reelhook.doors.error_messages import http_message
from reelhook.doors.limits import LimitError, Refusals
from reelhook.doors.request_messages import request_message, wire_name

log = structlog.get_logger()
RETRY_AFTER_SECONDS = "5"
STORE_MESSAGE = "The database can't be used now; nothing was written, so send it again later"
NO_RETRY = {"x-should-retry": "false"}
"""Keeps the official client libraries from repeating a 500 on their own."""

METHOD_NOT_ALLOWED = (
    "method_not_allowed",
    "This route does not support this method; /docs lists them all",
)
"""The code and the message."""

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
    (PosterNotReadyError, 404),
    (ContentMissingError, 410),
    (ContentRemovedError, 410),
    (IdempotencyKeyReusedError, 422),
    (ProviderError, 502),
    (UploadKindError, 415),
    (UploadTooLargeError, 413),
    (UploadsFullError, 413),
    (ArchivedFileUnavailableError, 502),
)
_HTTP_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: METHOD_NOT_ALLOWED[0],
    413: "request_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    503: "unavailable",
}
_MESSAGES = {
    # FastAPI's own messages for these name no remedy.
    400: "The body can't be read; send a JSON object in UTF-8",
    404: "No such route; /docs lists them all",
    405: METHOD_NOT_ALLOWED[1],
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
    "date_type": "must be a date, e.g. 2026-01-31",
    "date_from_datetime_parsing": "must be a date, e.g. 2026-01-31",
    "datetime_from_date_parsing": "must be a time with its time zone, e.g. 2026-01-31T10:00Z",
    "datetime_parsing": "must be a time with its time zone, e.g. 2026-01-31T10:00Z",
    "datetime_type": "must be a time with its time zone, e.g. 2026-01-31T10:00Z",
    "literal_error": "must be one of {expected}",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "file_form": "must have the type url or file, or name a job",
    "string_pattern_mismatch": "must be an id: letters, digits, hyphens and underscores",
    "string_too_long": "must have at most {max_length} characters",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "extra_forbidden": "is no field of this body; correct its name, or leave it out",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
}
_NAME_IN_OBJECT = "[key]"
"""The end of the place of a problem with a name; pydantic gives the name before it."""


def error_response(error: ErrorReply) -> JSONResponse:
    """Return an error in the form of reelhook's own API."""
    content: dict[str, Any] = {"error": error.message, "code": error.code}
    content |= {to_camel(name): fact for name, fact in error.facts.items()}
    if error.problem is not None:
        content["problem"] = error.problem
    if error.field is not None:
        content["field"] = error.field
    return JSONResponse(content, error.status, error.headers)


OWN_FORM = ErrorForm(error_response)
"""The form of errors in reelhook's own API, and of those outside of every door."""


def install_errors(
    app: FastAPI, refusals: Refusals, clients: RefusedClients, forms: ErrorForms
) -> None:
    """Turn every error of the routes into a response of the form that belongs to its path."""
    _install_http_errors(app, refusals, clients, forms)

    @app.exception_handler(ReelhookError)
    async def _ours(request: Request, error: ReelhookError) -> Response:
        status = status_of(error)
        if status == 401:
            clients.report(client_address(request.scope), status, error.code, request.method)
        form = forms.of(request.scope)
        if isinstance(error, InvalidRequestError):
            return form.respond(_wrong_field(form, status, error))
        return form.respond(error_reply(error, status, _retry_after(error)))

    @app.exception_handler(StoreError)
    async def _store(request: Request, error: StoreError) -> Response:
        # The database's own message may contain other clients' data, so it is only logged.
        route = getattr(request.scope.get("route"), "path", None)  # a whole path may be a secret
        log.warning("http.store_failed", route=route, error=error.message)
        headers = {"Retry-After": RETRY_AFTER_SECONDS}
        return forms.of(request.scope).respond(
            ErrorReply(503, STORE_MESSAGE, error.code, headers=headers)
        )

    @app.exception_handler(CommitUnknownError)
    async def _unknown(request: Request, error: CommitUnknownError) -> Response:
        return forms.of(request.scope).respond(error_reply(error, 500, NO_RETRY))


def _install_http_errors(
    app: FastAPI, refusals: Refusals, clients: RefusedClients, forms: ErrorForms
) -> None:
    def respond(request: Request, reply: ErrorReply) -> Response:
        return forms.of(request.scope).respond(reply)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        message, field = _sentence(error.errors()[0])
        return respond(request, ErrorReply(400, message, _HTTP_CODES[400], field))

    @app.exception_handler(LimitError)
    async def _limit(request: Request, error: LimitError) -> Response:
        refusals.count(error.code, error.detail)
        client = client_address(request.scope)
        clients.report(client, error.status_code, error.code, request.method)
        headers = dict(error.headers or {})
        reply = ErrorReply(error.status_code, error.detail, error.code, headers=headers)
        return respond(request, reply)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        status, headers = error.status_code, dict(error.headers or {})
        message, code = _MESSAGES.get(status, error.detail), _HTTP_CODES.get(status, "error")
        return respond(request, ErrorReply(status, message, code, headers=headers))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        log.error("http.failed", path=_shown_path(request.url.path), exc_info=error)
        message = "reelhook failed; its log says why"
        return respond(request, ErrorReply(500, message, "internal_error"))


def status_of(error: ReelhookError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_reply(
    error: ReelhookError, status: int, headers: Mapping[str, str] | None = None
) -> ErrorReply:
    """Return the reply to an error that names no field."""
    return ErrorReply(
        status,
        http_message(error),
        error.code,
        problem=error.problem,
        facts=error.facts,
        headers=headers or {},
    )


def _retry_after(error: ReelhookError) -> dict[str, str]:
    if isinstance(error, PosterNotReadyError):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {}


def _wrong_field(form: ErrorForm, status: int, error: InvalidRequestError) -> ErrorReply:
    field = wire_name(error.field, form.names)
    if message := request_message(error, form.names, form.sentences):
        return ErrorReply(status, message, error.code, field)
    return replace(error_reply(error, status), field=field)


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
    field = subject = ".".join(path)
    if path[-1] == _NAME_IN_OBJECT:
        field = ".".join(path[:-2])
        subject = f"A name in {field}"
    remedy = _REMEDIES.get(kind)
    if kind == "string_too_short" and problem["ctx"]["min_length"] == 1:
        remedy = "must not be empty"
    remedy = "has a form that is not allowed" if remedy is None else remedy
    facts = dict(problem.get("ctx", {}))
    if "expected" in facts:  # pydantic quotes each value
        facts["expected"] = facts["expected"].replace("'", "")
    return f"{subject} {remedy.format_map(facts)}", field
