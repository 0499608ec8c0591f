"""The parts of the OpenAPI document that FastAPI can't find out about these routes."""

from copy import deepcopy
from typing import Any

from reelhook.doors.openai.body import RemixBody, VideoBody
from reelhook.doors.openai.schemas import ErrorBody, Video

_NO_RETRY = {
    "x-should-retry": {
        "description": "`false`: the same request can't succeed soon, so the SDKs don't repeat it",
        "schema": {"type": "string"},
    }
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
_REFUSALS = {
    400: "A field is wrong; `param` names it",
    401: "No valid key",
    402: "A budget has no room for the job",
    403: "The key may not do this",
    404: "No such video, model or file",
    413: "The body is too large",
    415: "The body has another type",
    422: "The `Idempotency-Key` came with another body",
    429: "Too many requests, or too many jobs",
    500: "`acceptance_unknown`: it may have been done; `internal_error`: reelhook failed",
    502: "The provider could not be reached",
    503: "The database can't be used now, or other requests use all memory",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    **{
        status: {
            "model": ErrorBody,
            "description": meaning,
            "headers": _NO_RETRY | (_RETRY_AFTER if status in {429, 503} else {}),
        }
        for status, meaning in _REFUSALS.items()
    },
    "4XX": {"model": ErrorBody, "description": "What is wrong, and what to do"},
    "5XX": {"model": ErrorBody, "description": "reelhook or the provider failed"},
}
VIDEO_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Video,
        "headers": {
            "openai-poll-after-ms": {
                "description": "The wait until the next read, as the SDKs' `poll` keeps it",
                "schema": {"type": "integer"},
            }
        },
    }
}
FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {"video/*": {}, "application/octet-stream": {}}},
    206: {"description": "The range", "content": {"video/*": {}, "application/octet-stream": {}}},
    416: {"description": "The file has no such range"},
}
_FILE = {"type": "string", "format": "binary"}


def _as_form(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a form, in which media may also be files."""
    form = deepcopy(schema)
    for name in ("input_reference", "image", "last_frame"):
        form["properties"][name] = {**_FILE, "description": "A file, or a URL"}
    return form


_BODY = VideoBody.model_json_schema()
CREATE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _BODY},
            "multipart/form-data": {"schema": _as_form(_BODY)},
        },
    }
}
REMIX_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": RemixBody.model_json_schema()}},
    }
}
_ANYTHING = {"schema": {"type": "object"}}
ANY_BODY: dict[str, Any] = {
    "requestBody": {
        "content": {"application/json": _ANYTHING, "multipart/form-data": _ANYTHING},
    }
}
"""The body of a route that reads none."""
