"""The prices of fal's video apps, from their pages (`/models/APP/llms.txt`).

An app without an entry has no known price. A request's size sets only the ratio of its video.
"""

from reelhook.domain.price import Defaults, ModelPrice, Options, PriceLine

_DATE = "2026-11-29"


def _source(app: str) -> str:
    return f"https://fal.ai/models/{app}"


def _seedance(app: str, usd_per_second: dict[str, float], defaults: Defaults) -> ModelPrice:
    """Return the price of a Seedance 1.0 app: by video tokens, width x height x 24 / 1024 a second.

    The page gives 1080p as a price per video of 5 seconds.
    """
    return ModelPrice(
        unit="USD",
        lines=tuple(PriceLine(amount, resolution=name) for name, amount in usd_per_second.items()),
        source=_source(app),
        date=_DATE,
        defaults=defaults,
        options=Options(unpriced=("num_frames",)),
        resolution_of_size=False,
    )


_SEEDANCE_PRO = "fal-ai/bytedance/seedance/v1/pro/text-to-video"
_SEEDANCE_FAST = "fal-ai/bytedance/seedance/v1/pro/fast/text-to-video"
PRICES = {
    "fal-ai/veo3/fast": ModelPrice(
        unit="USD",
        lines=(PriceLine(0.15, audio=True), PriceLine(0.10, audio=False)),
        source=_source("fal-ai/veo3/fast"),
        date=_DATE,
        defaults=Defaults(seconds=8),
        options=Options(audio="generate_audio"),
        resolution_of_size=False,
    ),
    "fal-ai/veo2": ModelPrice(
        unit="USD",
        lines=(PriceLine(0.50),),
        source=_source("fal-ai/veo2"),
        date=_DATE,
        defaults=Defaults(seconds=5),
        minimum=2.50,
        resolution_of_size=False,
    ),
    _SEEDANCE_PRO: _seedance(  # $2.5 a million tokens
        _SEEDANCE_PRO, {"480p": 0.0243, "720p": 0.054, "1080p": 0.124}, Defaults()
    ),
    _SEEDANCE_FAST: _seedance(  # $1 a million tokens
        _SEEDANCE_FAST, {"480p": 0.00972, "720p": 0.0216, "1080p": 0.049}, Defaults(5, "1080p")
    ),
}
