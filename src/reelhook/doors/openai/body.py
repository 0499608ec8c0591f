"""The body of a request for a video, as JSON or as a form, where every value is text."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.config import JsonDict

from reelhook.domain.errors import InvalidRequestError, JobNotFoundError
from reelhook.domain.labels import EXTERNAL_ID_CHARACTERS_MAX, METADATA_MAX, Labels
from reelhook.domain.priority import PRIORITIES
from reelhook.domain.problem import Problem
from reelhook.domain.request import (
    ASPECT_RATIO,
    FALLBACKS_MAX,
    OPTIONS_CHARACTERS_MAX,
    PROMPT_CHARACTERS_MAX,
    REFERENCES_MAX,
    RESOLUTION,
    SECONDS,
    SEED_MAX,
    SHORT_CHARACTERS_MAX,
    SIZE,
)
from reelhook.domain.request_media import job_in, text_of_job
from reelhook.domain.upload import UPLOAD
from reelhook.doors.fields import EndpointIds
from reelhook.doors.ignored_fields import warnings_of
from reelhook.doors.json_shape import parsed_bytes
from reelhook.doors.labels import with_few_names
from reelhook.doors.media_urls import (
    AUDIO_SCHEMA,
    IMAGE_SCHEMA,
    VIDEO_SCHEMA,
    medium,
    medium_of,
    names_with_video,
)
from reelhook.doors.openai.ids import job_id_of


def _shown(**limits: Any) -> Any:
    """Return the annotation of a field whose limits OpenAPI shows and the domain checks."""
    return Field(json_schema_extra=limits)


def _as_text(value: Any) -> Any:
    # The SDKs' types say "4", but many clients send 4. The domain refuses 4.5.
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_media(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


def _by_video(value: Any) -> Any:
    """Return a medium that names a job, if it named the job's video; any other unchanged."""
    in_text = job_in(value) if isinstance(value, str) else None
    video_id = value.get("job") if isinstance(value, dict) else in_text
    if not isinstance(video_id, str):
        return value
    try:
        job_id = job_id_of(video_id)
    except JobNotFoundError:
        return value
    return text_of_job(job_id) if isinstance(value, str) else {**value, "job": job_id}


def _as_object(value: Any, field: ValidationInfo) -> Any:
    """Return the object that a form's field has as JSON text; anything else unchanged.

    The text has the limits of a JSON body. Raises `InvalidRequestError` or `LimitError`.
    """
    if not isinstance(value, str):
        return value
    if len(value) > OPTIONS_CHARACTERS_MAX:
        name = str(field.field_name)
        raise InvalidRequestError(name, Problem.TOO_LONG, limit=OPTIONS_CHARACTERS_MAX)
    parsed_bytes(value.encode(errors="surrogatepass"))
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value  # pydantic says that it must be an object


Prompt = Annotated[str, _shown(minLength=1, maxLength=PROMPT_CHARACTERS_MAX)]
Name = Annotated[str, _shown(minLength=1, maxLength=SHORT_CHARACTERS_MAX)]
_Media = Annotated[str, BeforeValidator(medium), BeforeValidator(_by_video)]
ImageMedia = Annotated[_Media, WithJsonSchema(IMAGE_SCHEMA)]
VideoMedia = Annotated[_Media, WithJsonSchema(VIDEO_SCHEMA)]
AudioMedia = Annotated[_Media, WithJsonSchema(AUDIO_SCHEMA)]
_LIST = (Field(fail_fast=True), BeforeValidator(_as_media), _shown(maxItems=REFERENCES_MAX))
_TEXT: JsonDict = {"type": "string"}
_SECONDS: JsonDict = {
    "anyOf": [{**_TEXT, "pattern": f"^{SECONDS}$"}, {"type": "integer", "minimum": 1}]
}
_REFERENCE: JsonDict = {
    "anyOf": [
        _TEXT,
        {"type": "object", "required": ["image_url"], "properties": {"image_url": _TEXT}},
        {"type": "object", "required": ["file_id"], "properties": {"file_id": _TEXT}},
        {"type": "object", "required": ["job"], "properties": {"job": _TEXT, "frame": _TEXT}},
        {"type": "null"},
    ]
}


class OwnBody(BaseModel):
    """The fields of every request for a video that are not OpenAI's."""

    webhook_url: str | None = Field(None, repr=False, description="Where this job's events go")
    callback_url: str | None = Field(None, repr=False, description="Another name of webhook_url")
    callback_secret: str | None = Field(
        None, repr=False, description="Signs what goes to this job's own URL"
    )
    callback_format: str | None = Field(
        None, description="The form of those bodies: openai (the default here), reelhook, vercel"
    )
    endpoints: Annotated[EndpointIds, BeforeValidator(_as_list)] = Field(
        [], description="Registered endpoints that its events go to"
    )
    metadata: Annotated[
        dict[str, str],
        BeforeValidator(with_few_names),
        BeforeValidator(_as_object),  # the last one runs first
        _shown(maxProperties=METADATA_MAX),
    ] = Field({}, description="Your own names and values")
    external_id: (
        Annotated[str, _shown(minLength=1, maxLength=EXTERNAL_ID_CHARACTERS_MAX)] | None
    ) = Field(None, description="Your own id for the job")
    priority: Annotated[str, _shown(enum=list(PRIORITIES))] | None = None

    @property
    def labels(self) -> Labels:
        """The labels in the domain's form."""
        return Labels(self.external_id, self.metadata)

    @property
    def own_url(self) -> str | None:
        """The URL of the job's events, by either name. Raises `InvalidRequestError` for two."""
        one, other = self.webhook_url, self.callback_url
        if one is not None and other is not None and one != other:
            raise InvalidRequestError(
                "callback_url",
                "webhook_url and callback_url differ, but are two names of one field; give one",
            )
        return one if other is None else other


class VideoBody(OwnBody):
    """A request for a video. From `aspect_ratio` on, the fields are not OpenAI's."""

    prompt: Prompt
    model: Name | None = Field(None, description="`provider/model`, an alias, or a bare name")
    seconds: Annotated[str, BeforeValidator(_as_text), WithJsonSchema(_SECONDS)] | None = None
    size: Annotated[str, _shown(pattern=f"^{SIZE}$")] | None = None
    input_reference: Any = Field(
        None,
        description="The first image: {image_url}, a URL, or in a form a file",
        json_schema_extra=_REFERENCE,
    )
    aspect_ratio: Annotated[str, _shown(pattern=f"^{ASPECT_RATIO}$")] | None = None
    resolution: Annotated[str, _shown(pattern=f"^({RESOLUTION})$")] | None = None
    seed: Annotated[int, _shown(minimum=0, maximum=SEED_MAX)] | None = None
    negative_prompt: str | None = None
    audio: bool | None = Field(
        None, description="With or without sound; absent: the model's choice"
    )
    image: ImageMedia | None = Field(
        None, description="The first image, instead of input_reference"
    )
    last_frame: ImageMedia | None = None
    reference_images: Annotated[list[ImageMedia], *_LIST] = []
    reference_videos: Annotated[list[VideoMedia], *_LIST] = []
    reference_audios: Annotated[list[AudioMedia], *_LIST] = []
    video: VideoMedia | None = Field(
        None, description="A video to go on from: the first of reference_videos by another name"
    )
    fallbacks: Annotated[
        list[Name], Field(fail_fast=True), BeforeValidator(_as_list), _shown(maxItems=FALLBACKS_MAX)
    ] = Field([], description="Models to try when the ones before definitely did not accept")
    provider_options: Annotated[dict[str, Any], BeforeValidator(_as_object)] = Field(
        {}, description="The provider's own parameters, passed on unchanged"
    )

    @property
    def names(self) -> Mapping[str, str]:
        """The client's names of the fields that errors may be about."""
        image, _ = self.first_image
        return {"image": image, **names_with_video(self.video, self.reference_videos)}

    @property
    def first_image(self) -> tuple[str, str | None]:
        """The first image, and the name of its field. Raises `InvalidRequestError`."""
        if self.input_reference is None:
            return "image", self.image
        if self.image is not None:
            raise InvalidRequestError(
                "input_reference", "input_reference and image are both the first image; give one"
            )
        return "input_reference", _referenced(self.input_reference)


class RemixBody(OwnBody):
    """A request for a new video that changes a finished one."""

    prompt: Prompt


Body = TypeVar("Body", bound=OwnBody)


def checked(kind: type[Body], fields: dict[str, Any]) -> tuple[Body, list[str]]:
    """Return the body that a request's fields make, and what was ignored.

    A field that is null counts as absent. Raises `RequestValidationError`, as a route does.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        body = kind.model_validate(given)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from None
    return body, warnings_of(given, kind.model_fields)


def _referenced(reference: Any) -> str:
    if isinstance(reference, str):
        return reference
    fields = reference if isinstance(reference, dict) else {}
    if isinstance(url := fields.get("image_url"), str):
        return url
    if isinstance(fields.get("job"), str) and fields.keys() <= {"job", "frame"}:
        return str(medium_of(_by_video(fields), "input_reference", "image"))
    if isinstance(file_id := fields.get("file_id"), str) and re.fullmatch(UPLOAD, file_id):
        return file_id
    if "file_id" in fields:
        raise InvalidRequestError(
            "input_reference.file_id",
            "input_reference.file_id must be the id of an upload (POST /api/uploads); or send the "
            "image itself, or its image_url",
        )
    raise InvalidRequestError(
        "input_reference",
        "input_reference must be a file, or an object with image_url, file_id or job",
    )
