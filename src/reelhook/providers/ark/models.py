"""The Seedance models, and the request that creates a task with one of them.

Field names as in volcengine-ark-runtime 5.0.54 (`resources/content_generation/tasks.py` and
`types/content_generation/create_task_content_param.py`); durations, ratios and resolutions from
ModelArk's and Volcengine's API reference, "Create a video generation task". Seedance 2.5 accepted
4, 5, 6, 8, 10, 12, 15, 16, 20, 24 and 30 seconds and refused 3; with a first frame it refuses every
`ratio` except `adaptive` (400 `InvalidParameter.TaskTypeConstraint`).

Frames, references and audio of 1.0 and 1.5 are from the reference's table of models; references
exclude frames. Up to 9 images, 3 videos and 3 audios at 2.0, and 30, 10 and 10 at 2.5, are from
Civitai's page "Seedance video generation", which calls ModelArk directly. Resolutions are those
that have a price. Ark has no negative prompt.
"""

from dataclasses import dataclass

from reelhook.domain.media_limits import ImageLimits
from reelhook.domain.model import Image, Model, aspect_ratio_for
from reelhook.domain.report import Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.ark.prices import PRICES
from reelhook.providers.http.json_fields import encodable
from reelhook.providers.http.request_fields import merged, nearest_resolution, refusal

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
IMAGES = ImageLimits(300, 6000, 0.4, 2.5, 30_000_000)
"""Source: the API reference, "Create a video generation task": `image_url`."""
INLINE_BYTES_MAX = {"video": 0}
"""Source: the same page: a `video_url` is a URL or the id of an asset, and no `data:` URI."""
PIXELS = {"480p": 864 * 480, "720p": 1280 * 720, "1080p": 1920 * 1080}
"""The resolutions of all but the small models, with their pixels at 16:9."""


def _seconds(shortest: int, longest: int) -> tuple[str, ...]:
    return tuple(map(str, range(shortest, longest + 1)))


@dataclass(frozen=True, slots=True)
class _Family:
    """The inputs of a family of models; `references` counts images, videos and audios."""

    seconds: tuple[str, ...]
    image: Image = Image.OPTIONAL
    last_frame: bool = True
    audio: bool = True
    references: tuple[int, int, int] = (0, 0, 0)
    resolutions: tuple[str, ...] = tuple(PIXELS)


_V2_5 = _Family(_seconds(4, 30), references=(30, 10, 10))
_V2 = _Family(_seconds(4, 15), references=(9, 3, 3))
_V2_SMALL = _Family(_seconds(4, 15), references=(9, 3, 3), resolutions=("480p", "720p"))
_V1_5 = _Family(_seconds(4, 12))
_V1_PRO = _Family(_seconds(2, 12), audio=False)
_V1_FAST = _Family(_seconds(2, 12), audio=False, last_frame=False)
_V1_TEXT = _Family(_seconds(2, 12), Image.NONE, audio=False, last_frame=False)
_V1_IMAGE = _Family(_seconds(2, 12), Image.REQUIRED, audio=False, references=(4, 0, 0))


def _model(name: str, family: _Family) -> Model:
    images, videos, audios = family.references
    return Model(
        name,
        seconds=family.seconds,
        sizes=(),
        aspect_ratios=RATIOS,
        image=family.image,
        image_sets_ratio="seedance-2-5-" in name,
        resolutions=family.resolutions,
        negative_prompt=False,
        audio=family.audio,
        last_frame=family.last_frame,
        reference_images_max=images,
        reference_videos_max=videos,
        reference_audios_max=audios,
        references_or_frames=True,
        images=IMAGES,
        price=PRICES.get(name),
    )


MODELS = (
    # BytePlus ModelArk
    _model("dreamina-seedance-2-5-260628", _V2_5),
    _model("dreamina-seedance-2-0-260128", _V2),
    _model("dreamina-seedance-2-0-fast-260128", _V2_SMALL),
    _model("dreamina-seedance-2-0-mini-260615", _V2_SMALL),
    _model("seedance-1-5-pro-251215", _V1_5),
    _model("seedance-1-0-pro-250528", _V1_PRO),
    _model("seedance-1-0-pro-fast-251015", _V1_FAST),
    _model("seedance-1-0-lite-t2v-250428", _V1_TEXT),
    _model("seedance-1-0-lite-i2v-250428", _V1_IMAGE),
    # Volcengine
    _model("doubao-seedance-2-5-260628", _V2_5),
    _model("doubao-seedance-2-0-260128", _V2),
    _model("doubao-seedance-2-0-fast-260128", _V2_SMALL),
    _model("doubao-seedance-2-0-mini-260615", _V2_SMALL),
    _model("doubao-seedance-1-5-pro-251215", _V1_5),
    _model("doubao-seedance-1-0-pro-250528", _V1_PRO),
    _model("doubao-seedance-1-0-pro-fast-251015", _V1_FAST),
    _model("doubao-seedance-1-0-lite-t2v-250428", _V1_TEXT),
    _model("doubao-seedance-1-0-lite-i2v-250428", _V1_IMAGE),
)

_NAMES = {
    "resolution": "resolution",
    "audio": "generate_audio",
    # Items of `content`, next to the user's own; Ark checks their combination.
    **dict.fromkeys(("last_frame", "reference_images"), "content[].image_url"),
    "reference_videos": "content[].video_url",
    "reference_audios": "content[].audio_url",
}


def refusal_before_sending(request: VideoRequest) -> Refused | None:
    """Return why Ark's API can't express a request."""
    return refusal(request, "Ark", _NAMES, _common(request))


def body(request: VideoRequest, callback_url: str | None) -> dict[str, object]:
    """Return the body that creates a task: the common parameters over the user's options.

    A size becomes its ratio and the nearest resolution. The items of the user's own `content`
    follow the prompt, the frames and the references.
    """
    options = dict(request.options)
    extra_content = options.pop("content", None)
    content = [*_content(request), *(extra_content if isinstance(extra_content, list) else [])]
    return merged(options, {**_common(request), "callback_url": callback_url, "content": content})


def _common(request: VideoRequest) -> dict[str, object]:
    resolution = request.resolution
    if resolution is None and request.size is not None:
        resolution = nearest_resolution(request.size, PIXELS)
    return {
        "model": request.model,
        "duration": None if request.seconds is None else int(request.seconds),
        "ratio": aspect_ratio_for(request),
        "resolution": resolution,
        "seed": request.seed,
        "generate_audio": request.audio,
    }


def _content(request: VideoRequest) -> list[object]:
    return [
        {"type": "text", "text": encodable(request.prompt)},
        *([_item("image", request.image, "first_frame")] if request.image else []),
        *([_item("image", request.last_frame, "last_frame")] if request.last_frame else []),
        *(_item("image", url, "reference_image") for url in request.reference_images),
        *(_item("video", url, "reference_video") for url in request.reference_videos),
        *(_item("audio", url, "reference_audio") for url in request.reference_audios),
    ]


def _item(kind: str, url: str, role: str) -> object:
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url}, "role": role}
