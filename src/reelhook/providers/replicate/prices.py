"""The prices of Replicate's official models, and their defaults, from the models' API pages.

A model without an entry has no known price. A request's size sets only the ratio of its video.
"""

from reelhook.domain.price import Defaults, ModelPrice, Options, PriceLine


def _price(
    model: str, lines: tuple[PriceLine, ...], defaults: Defaults, options: Options
) -> ModelPrice:
    return ModelPrice(
        unit="USD",
        lines=lines,
        source=f"https://replicate.com/{model}/api/schema",
        date="2026-10-05",
        defaults=defaults,
        options=options,
        resolution_of_size=False,
    )


def _seedance(model: str, amounts: dict[str, float]) -> ModelPrice:
    lines = tuple(PriceLine(amount, resolution=name) for name, amount in amounts.items())
    # With a video among the inputs, a second costs more.
    return _price(model, lines, Defaults(5, "720p"), Options(unpriced=("reference_videos",)))


PRICES = {
    "google/veo-3-fast": _price(
        "google/veo-3-fast",
        (PriceLine(0.15, audio=True), PriceLine(0.10, audio=False)),
        Defaults(seconds=8, audio=True),
        Options(audio="generate_audio"),
    ),
    "bytedance/seedance-2.0": _seedance(
        "bytedance/seedance-2.0", {"480p": 0.08, "720p": 0.18, "1080p": 0.45, "4k": 1.0}
    ),
    "bytedance/seedance-2.0-fast": _seedance(
        "bytedance/seedance-2.0-fast", {"480p": 0.07, "720p": 0.15}
    ),
    "kwaivgi/kling-v2.1": _price(
        "kwaivgi/kling-v2.1",
        (
            PriceLine(0.05, resolution="standard"),
            PriceLine(0.05, resolution="720p"),
            PriceLine(0.09, resolution="pro"),
            PriceLine(0.09, resolution="1080p"),
        ),
        Defaults(5, "standard"),
        Options(resolution="mode"),
    ),
}
