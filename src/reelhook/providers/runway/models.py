"""Runway's video models and their limits.

From runwayml-python 5.24 (`types/text_to_video_create_params.py`,
`types/image_to_video_create_params.py`). `ratio` there is a size, "1280:720"; two models take
"16:9" and a `resolution` instead.

ByteDance's, MiniMax's and Alibaba's models take references or frames ("The two modes cannot be
mixed"). So do the models that take references in `text_to_video` only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain

from reelhook.domain.media_limits import ImageLimits
from reelhook.domain.model import Image, Model, lines_of
from reelhook.providers.runway.prices import PRICES

_NONE: tuple[str, ...] = ()
SHAPED_BY_IMAGE = frozenset(
    {"kling_4", "kling2.5_turbo_pro", "happyhorse_1_0", "wan3", "wan3_prime"}
    | {"grok_imagine_1_5", "grok_imagine_1_5_lite"}
)
"""Models whose video has the ratio of its first image; with an image they take no other ratio."""
Sizes = Mapping[str, tuple[str, ...]]
"""The sizes of each resolution."""


def _sizes(**of_resolutions: str) -> Sizes:
    return {
        name.removeprefix("_"): tuple(written.replace(":", "x").split())
        for name, written in of_resolutions.items()
    }


def _up_to(least: int, most: int) -> tuple[str, ...]:
    return tuple(map(str, range(least, most + 1)))


_720P = _sizes(_720p="1280:720 720:1280")
_GEN4 = _sizes(_720p="1280:720 720:1280 1104:832 960:960 832:1104 1584:672")
_VEO = _sizes(_720p="1280:720 720:1280", _1080p="1080:1920 1920:1080")
_KLING_720P = _sizes(_720p="1280:720 720:1280 960:960")
_KLING_1080P = _sizes(_1080p="1920:1080 1080:1920 1440:1440")
_KLING_4K = _sizes(_4k="3840:2160 2160:3840 2880:2880")
_KLING_25 = _sizes(_1080p="1920:1080 1440:1440 1080:1920", _720p="1280:720 720:720 720:1280")
_KLING_4 = _sizes(
    _720p="1280:720 720:1280 940:940 1460:624", _1080p="1920:1080 1080:1920 1440:1440 2200:940"
)
_SEEDANCE_720P = _sizes(
    _720p="1280:720 1112:834 960:960 834:1112 720:1280 1470:630",
    _480p="992:432 864:496 752:560 640:640 560:752 496:864",
)
_SEEDANCE_1080P = _sizes(_1080p="2206:946 1920:1080 1664:1248 1440:1440 1248:1664 1080:1920")
_SEEDANCE_4K = {
    **_SEEDANCE_720P,
    **_SEEDANCE_1080P,
    **_sizes(_4k="3840:1646 3840:2160 3840:2880 3840:3840 2880:3840 2160:3840"),
}
_SEEDANCE_25 = {
    **_SEEDANCE_720P,
    **_sizes(_480p="992:432 854:480 752:560 640:640 560:752 480:854"),
    **_SEEDANCE_1080P,
}
_HAPPYHORSE = _sizes(
    _720p="1280:720 720:1280 960:960 1108:832 832:1108",
    _1080p="1920:1080 1080:1920 1440:1440 1662:1248 1248:1662",
)
_WAN = _sizes(
    _720p="1280:720 1104:832 960:960 832:1104 720:1280",
    _480p="832:480 720:544 624:624 544:720 480:832",
    _1080p="1920:1080 1648:1248 1440:1440 1248:1648 1080:1920",
)
_OMNI = _sizes(
    _720p="1280:720 720:1280",
    _360p="640:360 360:640",
    _1080p="1920:1080 1080:1920",
    _4k="3840:2160 2160:3840",
)
_GROK_LITE = _sizes(
    _720p="1280:720 720:1280 720:720 960:720 720:960 1088:720 720:1088",
    _480p="848:480 480:848 480:480 640:480 480:640 720:480 480:720",
    _1080p="1904:1072 1072:1904 1424:1424 1648:1232 1232:1648 1744:1152 1152:1744",
)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The fields that a family of models takes; `references` are images, videos and audios."""

    seconds: tuple[str, ...] | None = None
    seed: bool = False
    prompt: int | None = None
    image: Image = Image.OPTIONAL
    audio: bool = False
    negative_prompt: bool = False
    last_frame: bool = False
    references: tuple[int | None, int | None, int | None] = (0, 0, 0)
    references_or_frames: bool = False
    images: ImageLimits | None = None


def _model(
    name: str,
    sizes: Sizes,
    inputs: _Inputs,
    *,
    ratios: str = "",
    resolutions: tuple[str, ...] = _NONE,
) -> Model:
    images, videos, audios = inputs.references
    return Model(
        name,
        inputs.seconds,
        tuple(chain(*sizes.values())),
        tuple(ratios.split()),
        inputs.image,
        inputs.seed,
        inputs.prompt,
        image_sets_ratio=name in SHAPED_BY_IMAGE,
        resolutions=tuple(sorted((*sizes, *resolutions), key=lines_of)),
        negative_prompt=inputs.negative_prompt,
        audio=inputs.audio,
        last_frame=inputs.last_frame,
        reference_images_max=images,
        reference_videos_max=videos,
        reference_audios_max=audios,
        references_or_frames=inputs.references_or_frames,
        images=inputs.images,
        price=PRICES.get(name),
    )


_GROK_IMAGES = ImageLimits(ratio_min=0.4, ratio_max=2.5)
_H3_IMAGES = ImageLimits(side_min=256)
"""The limits on images are from runwayml-python 5.24, `image_to_video_create_params.py`."""
_GEN = _Inputs(seed=True, prompt=1000)
_GOOGLE = replace(_GEN, seconds=("4", "6", "8"), audio=True, negative_prompt=True, last_frame=True)
_KLING = _Inputs(audio=True, last_frame=True)
_KLING_O3 = replace(_KLING, references=(7, 0, 0))
_SEEDANCE = _Inputs(
    seed=True,
    prompt=3500,
    audio=True,
    last_frame=True,
    references=(9, None, None),
    references_or_frames=True,
)
_ALIBABA = _Inputs(
    audio=True, last_frame=True, references=(10, None, None), references_or_frames=True
)
_OMNI_10S = _Inputs(seconds=_up_to(3, 10))

_SIZED: tuple[tuple[str, Sizes, _Inputs], ...] = (
    ("gen4.5", _GEN4, replace(_GEN, seconds=_up_to(2, 10))),
    ("gen4_turbo", _GEN4, replace(_GEN, image=Image.REQUIRED)),
    ("veo3.1", _VEO, _GOOGLE),
    ("veo3.1_fast", _VEO, _GOOGLE),
    # "Up to 10 images in total, frames included": the provider counts those.
    ("kling_4", _KLING_4, _Inputs(last_frame=True, references=(10, 5, 0))),
    ("kling3.0_standard", _KLING_720P, _KLING),
    ("kling3.0_pro", _KLING_1080P, _KLING),
    ("kling3.0_4k", _KLING_4K, _KLING),
    ("klingO3_standard", _KLING_720P, _KLING_O3),
    ("klingO3_pro", _KLING_1080P, _KLING_O3),
    ("klingO3_4k", _KLING_4K, _KLING_O3),
    ("kling2.5_turbo_pro", _KLING_25, _Inputs(seconds=("5", "10"), last_frame=True)),
    ("seedance2_5", _SEEDANCE_25, replace(_SEEDANCE, prompt=15_000, references=(30, None, None))),
    ("seedance2", _SEEDANCE_4K, _SEEDANCE),
    ("seedance2_fast", _SEEDANCE_720P, _SEEDANCE),
    ("seedance2_mini", _SEEDANCE_720P, _SEEDANCE),
    ("happyhorse_1_0", _HAPPYHORSE, _Inputs(prompt=2500)),
    ("wan3", _WAN, _ALIBABA),
    ("wan3_prime", _WAN, _ALIBABA),
    ("gemini_omni_flash", _720P, _OMNI_10S),
    (
        "gemini_omni_flash_1.1",
        _OMNI,
        replace(_OMNI_10S, last_frame=True, references=(None, None, 0), references_or_frames=True),
    ),
    ("grok_imagine_1_5_lite", _GROK_LITE, _Inputs(images=_GROK_IMAGES)),
)
SIZES = {name: sizes for name, sizes, _ in _SIZED}
"""The sizes of each resolution, by model."""

MODELS = (
    *(_model(*sized) for sized in _SIZED),
    _model(
        "h3_max",
        {},
        _Inputs(seed=True, last_frame=True, images=_H3_IMAGES),
        resolutions=("480p", "768p"),
    ),
    _model(
        "hailuo3",
        {},
        _Inputs(last_frame=True, references=(9, None, None), references_or_frames=True),
        ratios="16:9 9:16 1:1 4:3 3:4 21:9",
        resolutions=("768p", "2k"),
    ),
    _model(
        "grok_imagine_1_5",
        {},
        _Inputs(references=(None, 0, None), references_or_frames=True, images=_GROK_IMAGES),
        ratios="16:9 9:16 1:1 4:3 3:4 3:2 2:3",
        resolutions=("480p", "720p", "1080p"),
    ),
)
