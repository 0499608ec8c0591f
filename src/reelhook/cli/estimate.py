"""The command `estimate`."""

from typing import Any

from reelhook.cli import render
from reelhook.cli.calls import show_response
from reelhook.cli.options import AsJson, Url
from reelhook.cli.submit_options import (
    AspectRatio,
    Audio,
    Fallbacks,
    Image,
    LastFrame,
    Model,
    NegativePrompt,
    Prompt,
    ProviderOptions,
    ReferenceAudios,
    ReferenceImages,
    ReferenceVideos,
    Resolution,
    Script,
    Seconds,
    Seed,
    Size,
    video_body,
)


def estimate(
    script: Script,
    *,
    prompt: Prompt = None,
    model: Model = None,
    seconds: Seconds = None,
    size: Size = None,
    aspect_ratio: AspectRatio = None,
    image: Image = None,
    last_frame: LastFrame = None,
    reference_image: ReferenceImages = None,
    reference_video: ReferenceVideos = None,
    reference_audio: ReferenceAudios = None,
    resolution: Resolution = None,
    negative_prompt: NegativePrompt = None,
    audio: Audio = None,
    seed: Seed = None,
    option: ProviderOptions = None,
    fallback: Fallbacks = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Estimate the price of a video. Nothing is created or paid.

    The options are those of `submit`. With fallbacks, each model's price is shown, and the highest.
    """
    body = video_body(
        script,
        prompt=prompt,
        model=model,
        seconds=seconds,
        size=size,
        aspect_ratio=aspect_ratio,
        image=image,
        last_frame=last_frame,
        reference_image=reference_image,
        reference_video=reference_video,
        reference_audio=reference_audio,
        resolution=resolution,
        negative_prompt=negative_prompt,
        audio=audio,
        seed=seed,
        option=option,
        fallback=fallback,
    )
    show_response(url, lambda api: api.post("/api/estimate", body), _show, as_json=as_json)


def _show(estimate: dict[str, Any]) -> None:
    rows = [(one["model"], _price(one)) for one in estimate["models"]]
    render.show_table(("MODEL", "PRICE"), rows, wrap=True)
    if len(rows) > 1:
        render.hint(f"Highest: {price_text(estimate['highest'])}")


def _price(one: dict[str, Any]) -> str:
    own = one.get("unconverted")
    return price_text(one["price"]) + (f" ({price_text(own)})" if own else "")


def price_text(price: dict[str, Any] | None) -> str:
    """Return a price as text."""
    return "unknown" if price is None else f"{price['amount']:.6g} {price['unit']}"
