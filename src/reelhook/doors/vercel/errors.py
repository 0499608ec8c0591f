"""The form of the errors of Vercel's AI Gateway.

The client chooses the class of an error by its `type` (`create-gateway-error.ts` of
`@ai-sdk/gateway` 4.0.146), and repeats a request after 408, 409, 429 and 5xx (`gateway-error.ts`).
"""

from collections.abc import Mapping

from starlette.responses import JSONResponse

from reelhook.domain.errors import InvalidRequestError, NotFoundError
from reelhook.domain.problem import Problem
from reelhook.doors.error_form import ErrorForm, ErrorReply
from reelhook.doors.request_messages import SENTENCES, request_message

MODEL_HEADER = "ai-model-id"
FAILED_DEPENDENCY = 424
"""The status after which the client neither repeats a request nor changes its meaning."""
ACCEPTANCE_UNKNOWN = "acceptance_unknown"
_STATUS = {409: 400, 410: 404}
"""The client repeats a request that got 409. It has no error for 410."""
_TYPES = {
    401: "authentication_error",
    403: "forbidden",
    404: "not_found",
    408: "internal_server_error",
    FAILED_DEPENDENCY: "failed_dependency",
    429: "rate_limit_exceeded",
}
NAMES: Mapping[str, str] = {
    "model": MODEL_HEADER,
    "seconds": "duration",
    "size": "resolution",
    "audio": "generateAudio",
    "aspect_ratio": "aspectRatio",
    "last_frame": "frameImages",
    "reference_images": "inputReferences",
    "reference_videos": "inputReferences",
    "reference_audios": "inputReferences",
    "options": "providerOptions",
    "webhook_url": "callbackUrl",
    "callback_secret": "providerOptions.reelhook.callbackSecret",
    "callback_format": "providerOptions.reelhook.callbackFormat",
    "negative_prompt": "providerOptions.reelhook.negativePrompt",
    "fallbacks": "providerOptions.reelhook.fallbacks",
    "endpoints": "providerOptions.reelhook.endpoints",
    "metadata": "providerOptions.reelhook.metadata",
    "external_id": "providerOptions.reelhook.externalId",
    "priority": "providerOptions.reelhook.priority",
}
_SENTENCES: Mapping[Problem, str] = {
    problem: sentence
    for problem, sentence in SENTENCES.items()
    if problem is not Problem.PROMPT_TOO_LONG_FOR_MODEL  # it names fields of another door
}


class UnknownModelError(NotFoundError):
    """The model that a request names does not exist here."""

    code = "model_not_found"

    def __init__(self, model: str, reason: InvalidRequestError) -> None:
        super().__init__(model)
        self.message = request_message(reason, NAMES, _SENTENCES) or reason.message
        self.facts["model_id"] = model


def _error(reply: ErrorReply) -> JSONResponse:
    status = FAILED_DEPENDENCY if reply.code == ACCEPTANCE_UNKNOWN else reply.status
    status = _STATUS.get(status, status)
    error: dict[str, object] = {
        "message": reply.message,
        "type": error_type(status, reply.code),
        "param": None if reply.field == "body" else reply.field,  # the whole body is no field
        "code": reply.code,
    }
    if (model := reply.facts.get("model_id")) is not None:
        error["param"] = {"modelId": model}  # as `gateway-model-not-found-error.ts` reads it
    return JSONResponse({"error": error}, status, dict(reply.headers))


def error_type(status: int, code: str = "") -> str:
    """Return the type of an error with this status."""
    if code == UnknownModelError.code:
        return code
    by_default = "internal_server_error" if status >= 500 else "invalid_request_error"
    return _TYPES.get(status, by_default)


FORM = ErrorForm(_error, NAMES, _SENTENCES)
"""The form of every error below `/v4/ai`.

An error after which a job may exist is never one that the client repeats.
"""
