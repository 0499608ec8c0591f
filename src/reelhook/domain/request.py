"""The limits of what can be asked for, the same for every door. Fields go by their wire names."""

import json
import re

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import SCRIPT_CHARACTERS_MAX, VideoRequest

SHORT_CHARACTERS_MAX = 255
JOB_ID_CHARACTERS_MAX = 128
JOB_ID = "[A-Za-z0-9_-]+"
PROVIDER_JOB_ID = "[!-~]+"
SECONDS = "[1-9][0-9]{0,3}"
SIZE = "[1-9][0-9]{0,4}x[1-9][0-9]{0,4}"
ASPECT_RATIO = "[1-9][0-9]{0,2}:[1-9][0-9]{0,2}"
SEED_MAX = 2**32 - 1
IMAGE = "https?://[!-~]+|data:image/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=]+"
IMAGE_CHARACTERS_MAX = 900_000
"""A body has at most 1 MiB; a larger image goes by its URL."""
OPTIONS_CHARACTERS_MAX = 100_000
FALLBACKS_MAX = 5
RENDER_VERSION = "v3"
RESERVED_JOB_IDS = frozenset({"events"})
"""What follows /api/jobs/ in other routes."""


def check_request(request: VideoRequest) -> None:
    """Raise `InvalidRequestError` for a request that no provider should see."""
    if request.render_version != RENDER_VERSION:
        raise InvalidRequestError(
            "renderVersion",
            "renderVersion must be v3, the video model; v1 and v2 are not offered here",
        )
    _check_text("script", request.script, SCRIPT_CHARACTERS_MAX)
    if not request.script.strip():
        raise InvalidRequestError("script", "script must not be empty")
    if request.direction is not None:
        _check_text("prompt", request.direction, SCRIPT_CHARACTERS_MAX, empty=True)
    if len(request.prompt) > SCRIPT_CHARACTERS_MAX:
        raise InvalidRequestError(
            "prompt", f"prompt and script together have at most {SCRIPT_CHARACTERS_MAX} characters"
        )
    _check_text("model", request.model, SHORT_CHARACTERS_MAX, empty=True)
    if request.wallet_address is not None:
        _check_text("walletAddress", request.wallet_address, SHORT_CHARACTERS_MAX)
    _check_video(request)
    if request.provider_options is not None:
        _check_options(request.provider_options)
    for fallback in request.fallbacks:
        _check_text("fallbacks", fallback, SHORT_CHARACTERS_MAX)
    if len(request.fallbacks) > FALLBACKS_MAX:
        raise InvalidRequestError("fallbacks", f"fallbacks must name at most {FALLBACKS_MAX}")


def _check_video(request: VideoRequest) -> None:
    if request.seconds is not None:
        _check_form("seconds", request.seconds, SECONDS)
    if request.size is not None:
        _check_form("size", request.size, SIZE)
    if request.aspect_ratio is not None:
        _check_form("aspectRatio", request.aspect_ratio, ASPECT_RATIO)
    if request.seed is not None and not 0 <= request.seed <= SEED_MAX:
        raise InvalidRequestError("seed", f"seed must be a whole number from 0 to {SEED_MAX}")
    if request.image is not None:
        check_image(request.image)


def check_image(image: str) -> None:
    """Raise `InvalidRequestError` for what is neither a URL nor an image itself."""
    _check_text("image", image, IMAGE_CHARACTERS_MAX)
    if re.fullmatch(IMAGE, image) is None:
        raise InvalidRequestError(
            "image", "image must be an http(s) URL, or an image as data:image/png;base64,..."
        )


def _check_options(text: str) -> None:
    _check_text("providerOptions", text, OPTIONS_CHARACTERS_MAX)
    try:
        fine = isinstance(json.loads(text, parse_constant=_no_number), dict)
    except (ValueError, RecursionError):
        fine = False
    if not fine:
        raise InvalidRequestError("providerOptions", "providerOptions must be a JSON object")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def check_ids(provider_job_id: str, job_id: str | None) -> None:
    """Raise `InvalidRequestError` for ids that a job can't be registered under."""
    _check_text("soraJobId", provider_job_id, SHORT_CHARACTERS_MAX)
    _check_form("soraJobId", provider_job_id, PROVIDER_JOB_ID)
    if job_id is None:
        return
    _check_text("jobId", job_id, JOB_ID_CHARACTERS_MAX)
    _check_form("jobId", job_id, JOB_ID)
    if job_id in RESERVED_JOB_IDS:
        raise InvalidRequestError(
            "jobId", f"jobId must not be {job_id}: /api/jobs/{job_id} is another route's address"
        )


def _check_text(field: str, text: object, characters_max: int, *, empty: bool = False) -> None:
    if not isinstance(text, str):
        raise InvalidRequestError(field, f"{field} must be a string")
    if not text and not empty:
        raise InvalidRequestError(field, f"{field} must not be empty")
    if len(text) > characters_max:
        raise InvalidRequestError(field, f"{field} must have at most {characters_max} characters")
    if "\0" in text:
        # PostgreSQL's text and many renderers can't take it.
        raise InvalidRequestError(field, f"{field} must not contain NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            field, f"{field} must be Unicode text; it has half of a surrogate pair"
        ) from None


def _check_form(field: str, text: object, form: str) -> None:
    if not isinstance(text, str) or re.fullmatch(form, text) is None:
        raise InvalidRequestError(
            field, f"{field} has a form that is not allowed: it must be a string like ^{form}$"
        )
