"""The media that a request names: URLs, the files themselves, uploads, and videos of jobs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.problem import Problem
from reelhook.domain.request import JOB_ID, check_file
from reelhook.domain.request_media import MEDIA_FIELDS, is_url, text_of_job
from reelhook.doors.context import HttpOptions

VIDEO = "video"
"""The name of a single reference video. Doors take it in addition to the list."""
LAST = "last"
"""The only frame of a job's video that can be an image."""
_UPLOAD = {"upload"}
_OF_JOB = ({"job"}, {"job", "frame"})
_NO_FRAME = "{field}.frame is for images; leave it out: the whole video is used"
_TEXT = {"type": "string"}
_JOB = {**_TEXT, "pattern": f"^{JOB_ID}$", "description": "A completed job of the same project"}
_FORMS = [
    {**_TEXT, "description": "A URL, a data: URI, or the id of an upload"},
    {"type": "object", "required": ["upload"], "properties": {"upload": _TEXT}},
]
IMAGE_SCHEMA = {
    "anyOf": [
        *_FORMS,
        {
            "type": "object",
            "required": ["job"],
            "properties": {"job": _JOB, "frame": {"enum": [LAST], "default": LAST}},
        },
    ]
}
VIDEO_SCHEMA = {
    "anyOf": [*_FORMS, {"type": "object", "required": ["job"], "properties": {"job": _JOB}}]
}
AUDIO_SCHEMA = {"anyOf": _FORMS}


def medium(value: Any, info: ValidationInfo) -> Any:
    """Return the text that stands for the medium of a field; see `medium_of`."""
    name = str(info.field_name)
    return medium_of(value, name, MEDIA_FIELDS.get(name, VIDEO))


def medium_of(value: Any, field: str, kind: str) -> Any:
    """Return the text that stands for a medium.

    `{"upload": id}` is another form of an upload's id. `{"job": id}` is the video of a job, or with
    `"frame": "last"` its last frame. Raises `InvalidRequestError`.
    """
    if not isinstance(value, dict):
        return value
    if value.keys() == _UPLOAD:
        return value["upload"]
    if value.keys() not in _OF_JOB or not isinstance(value["job"], str):
        raise InvalidRequestError(field, Problem.NO_MEDIUM)
    if "frame" in value:
        _check_frame(f"{field}.frame", value["frame"], kind)
    return text_of_job(value["job"])


def _check_frame(field: str, frame: Any, kind: str) -> None:
    if kind != "image":
        raise InvalidRequestError(field, _NO_FRAME.format(field=field.removesuffix(".frame")))
    if frame != LAST:
        value = frame if isinstance(frame, str) else type(frame).__name__
        raise InvalidRequestError(field, Problem.NOT_ONE_OF, allowed=(LAST,), value=value)


_Text = Annotated[str, Field(strict=True), BeforeValidator(medium)]
ImageMedium = Annotated[_Text, WithJsonSchema(IMAGE_SCHEMA)]
VideoMedium = Annotated[_Text, WithJsonSchema(VIDEO_SCHEMA)]
AudioMedium = Annotated[_Text, WithJsonSchema(AUDIO_SCHEMA)]


def with_video(video: str | None, references: list[str]) -> list[str]:
    """Return the reference videos of a request: a single one comes first."""
    return references if video is None else [video, *references]


def names_with_video(video: str | None, references: list[str]) -> Mapping[str, str]:
    """Return the client's names of the fields that errors may be about, if it named `video`."""
    if video is None:
        return {}
    first = {"reference_videos.0": VIDEO}
    return first if references else {**first, "reference_videos": VIDEO}


@contextmanager
def naming(names: Mapping[str, str]) -> Iterator[None]:
    """Let an error about a field name the one that the client sent."""
    try:
        yield
    except InvalidRequestError as error:
        error.field = names.get(error.field, error.field)
        raise


async def check_media_urls(options: HttpOptions, body: Any) -> None:
    """Raise `InvalidRequestError` if a URL of the body may not be dialled.

    `body` has the fields of `VideoRequest` by their names, and may have a single `video`.
    """
    for field, kind, file in _files(body):
        if not file.startswith("data:"):
            check_file(file, field, kind)
        if is_url(file):
            await options.check_url(file, field=field, media=True)


def _files(body: Any) -> Iterator[tuple[str, str, str]]:
    """Iterate over the media: the field, the kind, and the URL."""
    for field, kind in {**MEDIA_FIELDS, VIDEO: "video"}.items():
        given = getattr(body, field, None)
        if isinstance(given, str):
            yield field, kind, given
        elif given is not None:
            yield from ((f"{field}.{number}", kind, one) for number, one in enumerate(given))
