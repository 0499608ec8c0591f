"""Definite refusals of servers of `/v1/videos` that their HTTP status does not show.

A 5xx or 409 may come from a gateway that has forwarded the create. It is definite only if the kind
of server is known, the response is its own, and its source code sends it before it stores a job.
Each entry names that place, in the versions of `server_kind`. Any other response leaves the create
in doubt.
"""

import re
from collections.abc import Callable, Mapping

from reelhook.domain.report import RateLimited, Refused
from reelhook.providers.http.error_mapping import error_message
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.http.retry_after import retry_after_seconds
from reelhook.providers.openai.server_kind import ServerKind

Definite = Refused | RateLimited
RefusalCheck = Callable[[ProviderResponse, float], Definite | None]

AQUILES_SIZES = ("1280x720", "720x1280", "1792x1024", "1024x1792")
"""models/models.py:455."""
_LIMIT = re.compile(r"The limit of \d+ concurrent tasks has been reached")
_NO_VIDEOS = re.compile(r"Model '.*' does not generate videos\.", re.DOTALL)
_ENDED = re.compile(r"\bexited; restart the server\.$")
_SETUP = "Video generation setup failed"


def definite_refusal(
    kind: ServerKind, response: ProviderResponse, size: str | None, now: float
) -> Definite | None:
    """Return the refusal if the server definitely did not accept a create; None if it may have.

    Only for statuses that don't decide it. `size` is the requested size; `now` is in Unix seconds.
    """
    if response.status < 500 and response.status not in {408, 409}:
        return None
    if kind is ServerKind.AQUILES and _is_size_refused(response, size):
        sizes = ", ".join(AQUILES_SIZES)
        return Refused("invalid_request", f"The server takes the sizes {sizes}, not {size}")
    check = _CHECKS.get(kind)
    return check(response, now) if check is not None else None


def _sglang(response: ProviderResponse, _now: float) -> Definite | None:
    # http_server.py:513: once a part of the engine has ended, every POST is refused before any
    # route; :211 to :223 are the messages.
    error = response.fields().get("error")
    if response.status == 503 and isinstance(error, str) and _ENDED.search(error):
        return Refused("provider_error", error_message(response))
    return None


def _vllm_omni(response: ProviderResponse, _now: float) -> Definite | None:
    # api_server.py:2671 stores the job and raises nothing after that. Its 409 (:1544, several API
    # workers), its 503 (:1540, helpers.py:984) and errors of the set-up (helpers.py:1005) come
    # before. vllm writes each of them as `error`, with the status as its code.
    error = response.fields().get("error")
    if not isinstance(error, dict) or error.get("code") != response.status:
        return None
    message = error_message(response)
    if response.status in {409, 503} or (response.status == 500 and message.startswith(_SETUP)):
        return Refused("provider_error", message)
    return None


def _aquiles(response: ProviderResponse, now: float) -> Definite | None:
    # utils/task.py:152 removes the job before it reports that the limit is reached; main.py:702
    # checks the model before that. Any other 503 may come after the render has begun.
    detail = response.fields().get("detail")
    if response.status != 503 or not isinstance(detail, str):
        return None
    if _LIMIT.match(detail):
        return RateLimited(retry_after_seconds(response.headers, now), detail)
    return Refused("invalid_request", detail) if _NO_VIDEOS.fullmatch(detail) else None


def _is_size_refused(response: ProviderResponse, size: str | None) -> bool:
    # main.py:688: the size is checked first, and nothing catches that exception.
    bare = response.status == 500 and response.text().strip() == "Internal Server Error"
    return bare and size is not None and size not in AQUILES_SIZES


def _new_api(response: ProviderResponse, _now: float) -> Definite | None:
    # middleware/distributor.go finds no channel for the model before it asks any server.
    error = response.fields().get("error")
    if response.status != 503 or not isinstance(error, dict):
        return None
    if (error.get("code"), error.get("type")) != ("model_not_found", "new_api_error"):
        return None
    return Refused("invalid_request", error_message(response))


_CHECKS: Mapping[ServerKind, RefusalCheck] = {
    ServerKind.SGLANG: _sglang,
    ServerKind.VLLM_OMNI: _vllm_omni,
    ServerKind.AQUILES: _aquiles,
    ServerKind.NEW_API: _new_api,
}
