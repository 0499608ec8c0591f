"""The Seedance models, and the request that creates a task with one of them.

Field names as in volcengine-ark-runtime 5.0.54 (`resources/content_generation/tasks.py` and
`types/content_generation/create_task_content_param.py`); durations, ratios and resolutions from
ModelArk's and Volcengine's API reference, "Create a video generation task". Seedance 2.5 accepted
4, 5, 6, 8, 10, 12, 15, 16, 20, 24 and 30 seconds and refused 3; with a first frame it refuses every
`ratio` except `adaptive` (400 `InvalidParameter.TaskTypeConstraint`).
"""

from reelhook.domain.model import Image, Model, aspect_ratio_for
from reelhook.domain.request import VideoRequest
from reelhook.providers.ark.prices import PRICES
from reelhook.providers.http.json_fields import encodable
from reelhook.providers.http.request_fields import merged, nearest_resolution

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
PIXELS = {"480p": 864 * 480, "720p": 1280 * 720, "1080p": 1920 * 1080}
"""The resolutions of all but the small models, with their pixels at 16:9."""


def _seconds(shortest: int, longest: int) -> tuple[str, ...]:
    return tuple(map(str, range(shortest, longest + 1)))


def _model(name: str, seconds: tuple[str, ...], image: Image = Image.OPTIONAL) -> Model:
    return Model(
        name,
        seconds=seconds,
        sizes=(),
        aspect_ratios=RATIOS,
        image=image,
        image_sets_ratio="seedance-2-5-" in name,
        price=PRICES.get(name),
    )


MODELS = (
    # BytePlus ModelArk
    _model("dreamina-seedance-2-5-260628", _seconds(4, 30)),
    _model("dreamina-seedance-2-0-260128", _seconds(4, 15)),
    _model("dreamina-seedance-2-0-fast-260128", _seconds(4, 15)),
    _model("dreamina-seedance-2-0-mini-260615", _seconds(4, 15)),
    _model("seedance-1-5-pro-251215", _seconds(4, 12)),
    _model("seedance-1-0-pro-250528", _seconds(2, 12)),
    _model("seedance-1-0-pro-fast-251015", _seconds(2, 12)),
    _model("seedance-1-0-lite-t2v-250428", _seconds(2, 12), Image.NONE),
    _model("seedance-1-0-lite-i2v-250428", _seconds(2, 12), Image.REQUIRED),
    # Volcengine
    _model("doubao-seedance-2-5-260628", _seconds(4, 30)),
    _model("doubao-seedance-2-0-260128", _seconds(4, 15)),
    _model("doubao-seedance-2-0-fast-260128", _seconds(4, 15)),
    _model("doubao-seedance-2-0-mini-260615", _seconds(4, 15)),
    _model("doubao-seedance-1-5-pro-251215", _seconds(4, 12)),
    _model("doubao-seedance-1-0-pro-250528", _seconds(2, 12)),
    _model("doubao-seedance-1-0-pro-fast-251015", _seconds(2, 12)),
    _model("doubao-seedance-1-0-lite-t2v-250428", _seconds(2, 12), Image.NONE),
    _model("doubao-seedance-1-0-lite-i2v-250428", _seconds(2, 12), Image.REQUIRED),
)


def body(request: VideoRequest, callback_url: str | None) -> dict[str, object]:
    """Return the body that creates a task: the common parameters over the user's options.

    A size becomes its ratio and the nearest resolution. The items of the user's own `content`
    (a last frame, reference images) follow the prompt and the first frame.
    """
    options = dict(request.options)
    extra_content = options.pop("content", None)
    common = {
        "model": request.model,
        "duration": None if request.seconds is None else int(request.seconds),
        "ratio": aspect_ratio_for(request),
        "resolution": None if request.size is None else nearest_resolution(request.size, PIXELS),
        "seed": request.seed,
        "callback_url": callback_url,
    }
    content = [*_content(request), *(extra_content if isinstance(extra_content, list) else [])]
    return merged(options, {**common, "content": content})


def _content(request: VideoRequest) -> list[object]:
    content: list[object] = [{"type": "text", "text": encodable(request.prompt)}]
    if request.image is not None:
        frame = {"type": "image_url", "image_url": {"url": request.image}, "role": "first_frame"}
        content.append(frame)
    return content
