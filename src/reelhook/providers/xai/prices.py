"""The prices of xAI's models, from their pages at docs.x.ai.

The defaults of a request without them are from docs.x.ai, REST API reference.
"""

from reelhook.domain.price import Defaults, ModelPrice, Options, PriceLine


def _price(model: str, image: float, amounts: dict[str, float]) -> ModelPrice:
    return ModelPrice(
        unit="USD",
        lines=tuple(PriceLine(amount, resolution=name) for name, amount in amounts.items()),
        source=f"https://docs.x.ai/docs/models/{model}",
        date="2026-11-29",
        defaults=Defaults(seconds=8, resolution="480p"),
        options=Options(unpriced=("reference_images", "last_frame", "video", "image")),
        image_amount=image,
    )


PRICES = {
    "grok-imagine-video": _price("grok-imagine-video", 0.002, {"480p": 0.05, "720p": 0.07}),
    "grok-imagine-video-1.5": _price(
        "grok-imagine-video-1.5", 0.01, {"480p": 0.08, "720p": 0.14, "1080p": 0.25}
    ),
}
