"""The form of OpenAI's errors. The SDKs choose the class of an error by its HTTP status."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

from reelhook.domain.problem import Problem
from reelhook.doors.error_form import ErrorForm, ErrorReply
from reelhook.doors.openai.ids import video_id
from reelhook.doors.request_messages import SENTENCES

RETRY_WAIT_SECONDS_MAX = 120
"""The longest `Retry-After` that the SDKs obey (`MAX_RETRY_AFTER_DELAY` in `_constants.py`)."""
_STATUS = {409: 400, 410: 404}
"""SDKs repeat a request that got 409 (`_should_retry`). They have no error for 410."""
_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_NAMES: Mapping[str, str] = {
    "options": "provider_options",
    "cursor": "after",
    "job_id": "video_id",
}
_MESSAGES = {
    "job_not_found": "Video not found; GET /v1/videos lists them",
    "job_deleted": "The video of this request was deleted; "
    "to make it again, send another Idempotency-Key",
}
_OF_AFTER = "after must be the id of a video that GET /v1/videos has listed"


def _error(reply: ErrorReply) -> JSONResponse:
    status = _STATUS.get(reply.status, reply.status)
    error: dict[str, str | None] = {
        "message": _OF_AFTER
        if reply.field == "after"
        else _MESSAGES.get(reply.code, reply.message),
        "type": _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": None if reply.field == "body" else reply.field,  # the whole body is no field
        "code": reply.code,
    }
    job_id = reply.facts.get("job_id")
    if isinstance(job_id, str):
        error["video_id"] = video_id(job_id)
    headers = dict(reply.headers)
    if not _may_help(status, headers.get("Retry-After")):
        headers["x-should-retry"] = "false"
    return JSONResponse({"error": error}, status, headers)


def _may_help(status: int, retry_after: str | None) -> bool:
    """Return True if the same request may succeed when it is sent again soon."""
    if status == 429:
        wait = int(retry_after) if retry_after and retry_after.isdecimal() else 0
        return wait <= RETRY_WAIT_SECONDS_MAX
    return status == 408 or status >= 500


FORM = ErrorForm(
    _error,
    _NAMES,
    {
        problem: sentence
        for problem, sentence in SENTENCES.items()
        if problem is not Problem.PROMPT_TOO_LONG_FOR_MODEL  # it names fields of another door
    },
)
