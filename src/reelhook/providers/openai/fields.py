"""The fields of requests that only some servers of `/v1/videos` have, and their names there.

The API itself has none of them. Names are from the sources in `server_kind`: SGLang
`protocol.py:151` and `video_api.py:503`, FastVideo `protocol.py:79`, TensorRT-LLM
`openai_protocol.py`; vLLM-Omni `protocol/videos.py:124` (an `image_reference` is a list of the
first and the last frame, or of references), `:208` and `:236`. Gateways pass unknown fields on to
their backends, which have only `negative_prompt` in common. Aquiles-Image and OpenAI read no field
that the API lacks.
"""

from collections.abc import Mapping

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import ratio_of
from reelhook.domain.problem import Problem
from reelhook.domain.report import Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.request_fields import FIELDS, refusal
from reelhook.providers.openai.server_kind import FACTS, ServerKind

_SIZE = {"resolution": "size"}
_COMMON = {**_SIZE, "negative_prompt": "negative_prompt"}
NAMES: Mapping[ServerKind, Mapping[str, str]] = {
    **dict.fromkeys(ServerKind, _COMMON),
    ServerKind.VLLM_OMNI: {
        **_COMMON,
        "audio": "generate_sound",
        "last_frame": "image_reference",
        "reference_images": "image_reference",
        "reference_videos": "video_reference",
        "reference_audios": "audio_reference",
    },
    ServerKind.AQUILES: _SIZE,
    ServerKind.OPENAI: _SIZE,
}
_WIDE, _HIGH = "16:9", "9:16"
_SIZES = {"480p": (832, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
"""The sizes of resolutions at 16:9: those of the Wan models, and OpenAI's own."""
_DOCUMENTED_LINES = "720p"
_NO_SIZE = (
    "Servers of /v1/videos take sizes: give size, or the aspectRatio 16:9 or 9:16 and one of the "
    f"resolutions {', '.join(_SIZES)}"
)
_NO_RATIO = (
    "Servers of /v1/videos take sizes: give size, or the aspectRatio 16:9 or 9:16, or set the "
    "server's own field in providerOptions"
)
_LAST_WITHOUT_FIRST = "{title} takes a lastFrame only after a first image; give image too"
_ONE_LIST = (
    "{title} takes first and last images or referenceImages, not both; leave referenceImages out"
)


def size_of(request: VideoRequest) -> str | None:
    """Return the size to send: the requested one, or that of the ratio and the resolution."""
    wide = _SIZES.get(request.resolution or _DOCUMENTED_LINES)
    if request.size is not None or wide is None or request.aspect_ratio not in {_WIDE, _HIGH}:
        return request.size
    long, short = wide
    return f"{long}x{short}" if request.aspect_ratio == _WIDE else f"{short}x{long}"


def lacking_field(request: VideoRequest, kind: ServerKind) -> InvalidRequestError | None:
    """Return the refusal of a field that a server of this kind lacks; None if there is none."""
    for field in FIELDS:
        if getattr(request, field) not in {None, ()} and field not in NAMES[kind]:
            title = FACTS[kind].title
            return InvalidRequestError(field, Problem.NOT_TAKEN_BY_MODEL, model=title)
    return None


def refusal_of_fields(request: VideoRequest, kind: ServerKind) -> Refused | None:
    """Return why a server of this kind can't be sent all fields of a request."""
    size, ratio, title = size_of(request), request.aspect_ratio, FACTS[kind].title
    if request.resolution is not None and size is None:
        return Refused("invalid_request", _NO_SIZE)
    if ratio is not None and (size is None or ratio_of(size) != ratio):
        return Refused("invalid_request", _NO_RATIO)
    parameters = {**parameters_of(request, kind), "size": size}
    if refused := refusal(request, title, NAMES[kind], parameters):
        return refused
    if request.last_frame is not None and request.image is None:
        return Refused("invalid_request", _LAST_WITHOUT_FIRST.format(title=title))
    if request.reference_images and (request.image is not None or request.last_frame is not None):
        return Refused("invalid_request", _ONE_LIST.format(title=title))
    return None


def parameters_of(request: VideoRequest, kind: ServerKind) -> dict[str, object]:
    """Return these fields by the server's names; None for those that are not set."""
    parameters: dict[str, object] = {"negative_prompt": request.negative_prompt}
    if kind is ServerKind.VLLM_OMNI:
        images = list(request.reference_images)
        if request.image is not None and request.last_frame is not None:
            images = [request.image, request.last_frame]
        parameters |= {
            "generate_sound": request.audio,
            "image_reference": _references("image", images),
            "video_reference": _references("video", request.reference_videos),
            "audio_reference": _references("audio", request.reference_audios),
        }
    return parameters


def _references(kind: str, urls: list[str] | tuple[str, ...]) -> list[object] | None:
    return [{f"{kind}_url": url} for url in urls] or None
