"""A request for a video, and its limits, which are the same for every door."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reelhook.domain.earlier_names import EarlierNames
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.media import FILES_BYTES_MAX
from reelhook.domain.problem import Problem

PROMPT_CHARACTERS_MAX = 32_000
"""The longest prompt of the OpenAI protocol (its public API description)."""
TITLE_CHARACTERS = 50
SHORT_CHARACTERS_MAX = 255
JOB_ID_CHARACTERS_MAX = 128
JOB_ID = "[A-Za-z0-9_-]+"
PROVIDER_JOB_ID = "[!-~]+"
SECONDS = "[1-9][0-9]{0,3}"
SIZE = "[1-9][0-9]{0,4}x[1-9][0-9]{0,4}"
ASPECT_RATIO = "[1-9][0-9]{0,2}:[1-9][0-9]{0,2}"
RESOLUTION = "[1-9][0-9]{2,3}p|[1-9]k"
_IN_WORDS = {
    JOB_ID: "letters, digits, hyphens and underscores only",
    PROVIDER_JOB_ID: "visible ASCII characters, without spaces",
    SECONDS: "a whole number of seconds from 1 to 9999, such as 8",
    SIZE: "the width and the height in pixels, such as 1280x720",
    ASPECT_RATIO: "a ratio such as 16:9",
    RESOLUTION: "a resolution such as 720p or 4k",
}
"""The forms as a message has them."""
SEED_MAX = 2**32 - 1
_FILE = "https?://[!-~]+|upload_[0-9a-f]{{64}}|data:{kind}/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=]+"
_OF_JOB = f"|job:{JOB_ID}"
"""The video of a completed job, or in place of an image its last frame."""
IMAGE = _FILE.format(kind="image")
FILE_CHARACTERS_CHECKED = 65_536
"""A longer URL is refused. Of a longer file, only the beginning is checked here."""
OPTIONS_CHARACTERS_MAX = 100_000
FALLBACKS_MAX = 5
REFERENCES_MAX = 20
RESERVED_JOB_IDS = frozenset({"events"})
"""Names that a door uses in the place of a job's id."""


@dataclass(frozen=True, slots=True)
class VideoRequest(EarlierNames):
    """A request for a video. Every door makes one, and every provider receives one.

    `model` is the name that its provider knows; empty: the provider's own choice. `title` is the
    beginning of the prompt unless a door gives another one. `image` and `last_frame` are the first
    and the last image of the video; they and the references are http(s) URLs, `data:` URIs or
    the ids of uploads. `job:ID` is the video of a completed job; as an image, its last frame.
    `resolution` is like "720p" or "4k". `audio` None: the model's own choice. `options` are passed
    to the provider unchanged. `remix_of` is the provider's id of a video that this one changes; the
    other fields are then those of that video.
    `fallbacks` are the models to try next, in order, if the previous one definitely did not accept;
    see `domain.catalog` for their form. `door_fields` are kept with the job for the door that made
    the request; no provider gets them. A client's own metadata belongs to the job instead.
    """

    prompt: str
    model: str = ""
    title: str = ""
    seconds: str | None = None
    size: str | None = None
    aspect_ratio: str | None = None
    image: str | None = None
    seed: int | None = None
    resolution: str | None = None
    negative_prompt: str | None = None
    audio: bool | None = None
    last_frame: str | None = None
    reference_images: tuple[str, ...] = ()
    reference_videos: tuple[str, ...] = ()
    reference_audios: tuple[str, ...] = ()
    remix_of: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    fallbacks: tuple[str, ...] = ()
    door_fields: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.title and isinstance(self.prompt, str):
            object.__setattr__(self, "title", self.prompt[:TITLE_CHARACTERS])

    @property
    def options_json(self) -> str | None:
        """The options as JSON, equal for equal options; None if there are none."""
        return json.dumps(dict(self.options), sort_keys=True) if self.options else None


def check_request(request: VideoRequest) -> None:
    """Raise `InvalidRequestError` for a request that no provider should get."""
    check_text("prompt", request.prompt, PROMPT_CHARACTERS_MAX)
    if not request.prompt.strip():
        raise InvalidRequestError("prompt", Problem.EMPTY)
    check_text("title", request.title, SHORT_CHARACTERS_MAX)
    check_text("model", request.model, SHORT_CHARACTERS_MAX, empty=True)
    _check_video(request)
    _check_options(request.options)
    for number, fallback in enumerate(request.fallbacks):
        check_text(f"fallbacks.{number}", fallback, SHORT_CHARACTERS_MAX)
    if len(request.fallbacks) > FALLBACKS_MAX:
        raise InvalidRequestError("fallbacks", Problem.TOO_MANY, limit=FALLBACKS_MAX)
    for name, value in request.door_fields.items():
        check_text(f"door_fields.{name}", value, PROMPT_CHARACTERS_MAX)


def _check_video(request: VideoRequest) -> None:
    if request.seconds is not None:
        _check_form("seconds", request.seconds, SECONDS)
    if request.size is not None:
        _check_form("size", request.size, SIZE)
    if request.aspect_ratio is not None:
        _check_form("aspect_ratio", request.aspect_ratio, ASPECT_RATIO)
    if request.seed is not None and not 0 <= request.seed <= SEED_MAX:
        raise InvalidRequestError("seed", Problem.RANGE, least=0, most=SEED_MAX)
    if request.resolution is not None:
        _check_form("resolution", request.resolution, RESOLUTION)
    if request.negative_prompt is not None:
        check_text("negative_prompt", request.negative_prompt, PROMPT_CHARACTERS_MAX)
    _check_files(request)
    if request.remix_of is not None:
        _check_form("remix_of", request.remix_of, PROVIDER_JOB_ID)


def _check_files(request: VideoRequest) -> None:
    if request.image is not None:
        check_image(request.image)
    if request.last_frame is not None:
        check_image(request.last_frame, "last_frame")
    for kind in ("image", "video", "audio"):
        name = f"reference_{kind}s"
        given = getattr(request, name)
        if len(given) > REFERENCES_MAX:
            raise InvalidRequestError(name, Problem.TOO_MANY, limit=REFERENCES_MAX)
        for number, one in enumerate(given):
            check_file(one, f"{name}.{number}", kind)
    _check_size(request)


def _check_size(request: VideoRequest) -> None:
    references = request.reference_images + request.reference_videos + request.reference_audios
    media = [text for text in (request.image, request.last_frame, *references) if text is not None]
    size = sum(len(text) * 3 // 4 for text in media if text.startswith("data:"))
    if size > FILES_BYTES_MAX:
        limit = FILES_BYTES_MAX // 1024**2
        raise InvalidRequestError("files", Problem.FILES_TOO_LARGE, limit=limit)


def check_image(image: str, name: str = "image") -> None:
    """Raise `InvalidRequestError` for a text that is neither a URL nor an image itself."""
    check_file(image, name, "image")


def check_file(file: str, name: str, kind: str) -> None:
    """Raise `InvalidRequestError` for a text that is neither a URL nor a file of this kind.

    The rest of a long file is checked when it is decoded.
    """
    if str(file).startswith("data:"):
        file = file[:FILE_CHARACTERS_CHECKED]
    check_text(name, file, FILE_CHARACTERS_CHECKED)
    form = _FILE.format(kind=kind) + ("" if kind == "audio" else _OF_JOB)
    if re.fullmatch(form, file) is None:
        if kind == "image":
            raise InvalidRequestError(name, Problem.NOT_AN_IMAGE)
        raise InvalidRequestError(name, Problem.NOT_A_FILE, kind=kind)


def _check_options(options: Mapping[str, Any]) -> None:
    if not isinstance(options, Mapping):
        raise InvalidRequestError("options", Problem.NOT_AN_OBJECT)
    try:
        text = json.dumps(dict(options), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequestError("options", Problem.NOT_AN_OBJECT) from None
    if len(text) > OPTIONS_CHARACTERS_MAX:
        raise InvalidRequestError("options", Problem.TOO_LONG, limit=OPTIONS_CHARACTERS_MAX)


def check_ids(provider_job_id: str, job_id: str | None) -> None:
    """Raise `InvalidRequestError` for ids under which no job can be registered."""
    check_text("provider_job_id", provider_job_id, SHORT_CHARACTERS_MAX)
    _check_form("provider_job_id", provider_job_id, PROVIDER_JOB_ID)
    if job_id is None:
        return
    check_text("job_id", job_id, JOB_ID_CHARACTERS_MAX)
    _check_form("job_id", job_id, JOB_ID)
    if job_id in RESERVED_JOB_IDS:
        raise InvalidRequestError("job_id", Problem.RESERVED, value=job_id)


def check_text(name: str, text: object, characters_max: int, *, empty: bool = False) -> None:
    """Raise `InvalidRequestError` for a text that no database or provider can take."""
    if not isinstance(text, str):
        raise InvalidRequestError(name, Problem.NOT_TEXT)
    if not text and not empty:
        raise InvalidRequestError(name, Problem.EMPTY)
    if len(text) > characters_max:
        raise InvalidRequestError(name, Problem.TOO_LONG, limit=characters_max)
    if "\0" in text:
        # PostgreSQL's text and many renderers can't take it.
        raise InvalidRequestError(name, Problem.NUL)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(name, Problem.NOT_UNICODE) from None


def _check_form(name: str, text: object, form: str) -> None:
    if not isinstance(text, str):
        raise InvalidRequestError(name, Problem.NOT_TEXT)
    if re.fullmatch(form, text) is None:
        raise InvalidRequestError(name, Problem.FORM, form=_IN_WORDS[form])
