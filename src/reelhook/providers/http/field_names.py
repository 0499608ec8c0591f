"""The names of a request's fields at the models of providers that have a schema per model."""

from collections.abc import Mapping
from dataclasses import dataclass

from reelhook.domain.request import VideoRequest
from reelhook.providers.http.request_fields import FIELDS


@dataclass(frozen=True, slots=True)
class FieldNames:
    """The names of a request's fields at a model. None: it has no such parameter."""

    prompt: str = "prompt"
    seconds: str = "duration"
    aspect_ratio: str = "aspect_ratio"
    image: str = "image"
    seed: str = "seed"
    resolution: str | None = "resolution"
    negative_prompt: str | None = "negative_prompt"
    audio: str | None = "generate_audio"
    last_frame: str | None = None
    reference_images: str | None = None
    reference_videos: str | None = None
    reference_audios: str | None = None

    @property
    def of_fields(self) -> Mapping[str, str]:
        """The names of those of `FIELDS` that the model has."""
        names = {field: getattr(self, field) for field in FIELDS}
        return {field: name for field, name in names.items() if name is not None}

    def parameters(self, request: VideoRequest) -> dict[str, object]:
        """Return those of `FIELDS` that are set, by the model's names."""
        values = {name: getattr(request, field) for field, name in self.of_fields.items()}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value not in {None, ()}
        }
