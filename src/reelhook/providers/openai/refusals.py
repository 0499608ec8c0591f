"""Refusals on the OpenAI wire that are definite though their HTTP status says nothing.

A 5xx or 409 may come from a gateway that has handed the create on. It is definite only where the
kind of server is known, the response is its own, and its code gives it before it stores a job.
Each entry names that place, in the versions of `openai_kind`. What is not here stays in doubt.
"""

import re
from collections.abc import Callable, Mapping

from reelhook.domain.report import RateLimited, Refused
from reelhook.providers.http.error_mapping import words
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.retry_after import retry_after_seconds
from reelhook.providers.openai.server_kind import ServerKind

Definite = Refused | RateLimited
Judge = Callable[[ProviderResponse, float], Definite | None]

AQUILES_SIZES = ("1280x720", "720x1280", "1792x1024", "1024x1792")
"""models/models.py:455."""
_LIMIT = re.compile(r"The limit of \d+ concurrent tasks has been reached")
_NO_VIDEOS = re.compile(r"Model '.*' does not generate videos\.", re.DOTALL)
_ENDED = re.compile(r"\bexited; restart the server\.$")
_SETUP = "Video generation setup failed"


def definite(
    kind: ServerKind, answer: ProviderResponse, size: str | None, now: float
) -> Definite | None:
    """Return what a response to a create definitely says; None where it may have been accepted.

    Only of responses that leave it open. `size` is the one that was asked for; `now` is in Unix
    seconds.
    """
    if answer.status < 500 and answer.status not in {408, 409}:
        return None
    if kind is ServerKind.AQUILES and _is_size_refused(answer, size):
        sizes = ", ".join(AQUILES_SIZES)
        return Refused("invalid_request", f"The server takes the sizes {sizes}; not {size}")
    judge = _JUDGES.get(kind)
    return judge(answer, now) if judge is not None else None


def _sglang(answer: ProviderResponse, _now: float) -> Definite | None:
    # http_server.py:513: before any route, every POST is refused once a part of the engine has
    # ended; :211 to :223 are the sentences for that.
    error = answer.fields().get("error")
    if answer.status == 503 and isinstance(error, str) and _ENDED.search(error):
        return Refused("provider_error", words(answer))
    return None


def _vllm_omni(answer: ProviderResponse, _now: float) -> Definite | None:
    # api_server.py:2671 stores the job, and raises nothing after that: its 409 (:1544, several API
    # workers) and 503 (:1540, helpers.py:984) come before, and so does what is wrong with the
    # set-up (helpers.py:1005). vllm writes each of them as `error`, with the status as its code.
    error = answer.fields().get("error")
    if not isinstance(error, dict) or error.get("code") != answer.status:
        return None
    message = words(answer)
    if answer.status in {409, 503} or (answer.status == 500 and message.startswith(_SETUP)):
        return Refused("provider_error", message)
    return None


def _aquiles(answer: ProviderResponse, now: float) -> Definite | None:
    # utils/task.py:152 takes the job out again before it says that there is one already;
    # main.py:702 looks at the model before that. Any other 503 may come after the render began.
    detail = answer.fields().get("detail")
    if answer.status != 503 or not isinstance(detail, str):
        return None
    if _LIMIT.match(detail):
        return RateLimited(retry_after_seconds(answer.headers, now), detail)
    return Refused("invalid_request", detail) if _NO_VIDEOS.fullmatch(detail) else None


def _is_size_refused(answer: ProviderResponse, size: str | None) -> bool:
    # main.py:688: what the size may be is checked before anything else, and nobody catches that.
    bare = answer.status == 500 and answer.text().strip() == "Internal Server Error"
    return bare and size is not None and size not in AQUILES_SIZES


def _new_api(answer: ProviderResponse, _now: float) -> Definite | None:
    # middleware/distributor.go finds no channel for the model, before any server is asked.
    error = answer.fields().get("error")
    if answer.status != 503 or not isinstance(error, dict):
        return None
    if (error.get("code"), error.get("type")) != ("model_not_found", "new_api_error"):
        return None
    return Refused("invalid_request", words(answer))


_JUDGES: Mapping[ServerKind, Judge] = {
    ServerKind.SGLANG: _sglang,
    ServerKind.VLLM_OMNI: _vllm_omni,
    ServerKind.AQUILES: _aquiles,
    ServerKind.NEW_API: _new_api,
}
