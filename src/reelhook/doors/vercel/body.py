"""The body of a request for a video, and reelhook's own fields in its `providerOptions`.

The wire is `buildRequestBody` in `gateway-video-model.ts` of `@ai-sdk/gateway` 4.0.146.
"""

from typing import Annotated, Any, Literal, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.request import (
    ASPECT_RATIO,
    FALLBACKS_MAX,
    PROMPT_CHARACTERS_MAX,
    RESOLUTION,
    SEED_MAX,
    SHORT_CHARACTERS_MAX,
    SIZE,
)
from reelhook.doors.fields import EndpointIds
from reelhook.doors.labels import LabelledBody, PriorityName
from reelhook.doors.media_urls import ImageMedium, VideoMedium
from reelhook.doors.vercel.files import WireFile

OWN = "reelhook"
"""The name of reelhook's own fields in `providerOptions`."""
B = TypeVar("B", bound=BaseModel)


def _shown(*, strict: bool | None = None, **limits: Any) -> Any:
    """Return the annotation of a field whose limits OpenAPI shows and the domain checks."""
    return Field(strict=strict, json_schema_extra=limits)


def _objects(options: Any) -> Any:
    """Return options by provider; only the first wrong one if any is, for one error is enough."""
    if isinstance(options, dict):
        for name, one in options.items():
            if not isinstance(one, dict):
                return {name: one}
    return options


class WireModel(BaseModel):
    """camelCase outside, snake_case inside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class FrameImage(WireModel):
    """The first or the last image of the video."""

    image: WireFile
    frame_type: Literal["first_frame", "last_frame"]


class VideoModelBody(WireModel):
    """A request for a video."""

    prompt: str | None = Field(
        None, json_schema_extra={"minLength": 1, "maxLength": PROMPT_CHARACTERS_MAX}
    )
    n: Annotated[int, _shown(enum=[1], strict=True)] | None = None
    aspect_ratio: Annotated[str, _shown(pattern=f"^({ASPECT_RATIO}|adaptive)$")] | None = Field(
        None, description="adaptive: the model's choice"
    )
    resolution: Annotated[str, _shown(pattern=f"^({SIZE}|{RESOLUTION})$")] | None = None
    duration: Annotated[float, _shown(type="integer", minimum=1, maximum=9999)] | None = Field(
        None, description="Seconds"
    )
    fps: float | None = Field(None, description="Ignored, with a warning")
    seed: Annotated[int, _shown(minimum=0, maximum=SEED_MAX)] | None = None
    generate_audio: bool | None = None
    image: WireFile | None = Field(None, description="The first image")
    frame_images: Annotated[list[FrameImage], Field(fail_fast=True)] | None = None
    input_references: Annotated[list[WireFile], Field(fail_fast=True)] | None = Field(
        None, description="Images, videos and sounds that the video refers to"
    )
    provider_options: Annotated[dict[str, dict[str, Any]], BeforeValidator(_objects)] | None = (
        Field(None, description="By provider: its own parameters; `reelhook`: see `OwnFields`")
    )


class StartBody(VideoModelBody):
    """A request for a video, and the URL of its webhook."""

    callback_url: str | None = Field(None, repr=False)


class OwnFields(LabelledBody):
    """The fields that only reelhook has, in `providerOptions.reelhook`."""

    model_config = ConfigDict(extra="forbid")

    webhook_url: str | None = Field(None, repr=False)
    callback_url: str | None = Field(None, repr=False, description="Another name of webhookUrl")
    callback_secret: str | None = Field(None, repr=False)
    callback_format: str | None = None
    endpoints: EndpointIds = Field([])
    priority: PriorityName | None = None
    resolution: str | None = Field(None, description="like 720p")
    negative_prompt: str | None = None
    image: ImageMedium | None = Field(None, description="In place of the wire's image")
    last_frame: ImageMedium | None = Field(None, description="In place of a last frame")
    video: VideoMedium | None = Field(None, description="A video to go on from")
    fallbacks: Annotated[
        list[Annotated[str, Field(json_schema_extra={"maxLength": SHORT_CHARACTERS_MAX})]],
        Field(fail_fast=True),
    ] = Field([], json_schema_extra={"maxItems": FALLBACKS_MAX})


def checked(kind: type[B], fields: dict[str, Any], *place: str) -> B:
    """Return the body that fields make. A field that is null counts as absent.

    Raises `RequestValidationError`, as a route does; `place` is where the fields are in the body.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return kind.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *place, *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from None


def own_fields(body: VideoModelBody) -> OwnFields:
    """Return reelhook's own fields in a body."""
    given = (body.provider_options or {}).get(OWN, {})
    return checked(OwnFields, given, "providerOptions", OWN)


def own_url(body: VideoModelBody, own: OwnFields) -> str | None:
    """Return the URL of the job's events. Raises `InvalidRequestError` if two differ."""
    called = body.callback_url if isinstance(body, StartBody) else None
    given = {url for url in (called, own.webhook_url, own.callback_url) if url is not None}
    if len(given) > 1:
        raise InvalidRequestError(
            "webhook_url", "callbackUrl and webhookUrl differ, but mean the same; give one of them"
        )
    return next(iter(given), None)


def unknown_fields(kind: type[BaseModel], fields: dict[str, Any]) -> list[str]:
    """Return the names of a body's fields that are not known here."""
    known = {field.alias for field in kind.model_fields.values()}
    return [name for name, value in fields.items() if name not in known and value is not None]


def body_document(kind: type[BaseModel]) -> dict[str, Any]:
    """Return the part of the OpenAPI document that describes a body."""
    schema = kind.model_json_schema()
    schema = _resolved(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _resolved(node: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema with its definitions in the places where it refers to them."""
    if isinstance(node, list):
        return [_resolved(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if (target := node.get("$ref")) is not None:
        return _resolved(definitions[target.rpartition("/")[2]], definitions)
    return {
        name: _resolved(one, definitions) for name, one in node.items() if name != "discriminator"
    }
