"""The prices of Runway's models, in credits. A model without an entry has no known price.

Credits per second from docs.dev.runwayml.com/guides/pricing; $0.01 a credit from
docs.dev.runwayml.com/guides/quickstart. The size of a request decides the resolution, except for
MiniMax's models, which have a parameter for it.
"""

from dataclasses import replace

from reelhook.domain.price import Defaults, ModelPrice, Options, Price, PriceLine

_SOURCE = "https://docs.dev.runwayml.com/guides/pricing/"
RATES = {"credits": Price(0.01, "USD")}
_OPTIONS = Options(
    resolution=None,
    audio="audio",
    # A draft, other formats and references cost less or more; `ratio` sets another size.
    unpriced=("draft", "draftTaskId", "outputFormat", "ratio", "references", "referenceVideos"),
    unpriced_fields=("reference_images", "reference_videos"),
)


def _credits(*lines: PriceLine, minimum: float = 0.0, date: str = "2026-11-29") -> ModelPrice:
    return ModelPrice(
        unit="credits",
        lines=lines,
        source=_SOURCE,
        date=date,
        options=_OPTIONS,
        minimum=minimum,
    )


def _by_resolution(
    amounts: dict[str, float], minimum: float = 0.0, date: str = "2026-11-29"
) -> ModelPrice:
    lines = (PriceLine(amount, resolution=name) for name, amount in amounts.items())
    return _credits(*lines, minimum=minimum, date=date)


def _by_parameter(amounts: dict[str, float], date: str = "2026-11-29") -> ModelPrice:
    options = replace(_OPTIONS, resolution="resolution")
    by_size = _by_resolution(amounts, date=date)
    return replace(by_size, options=options, resolution_of_size=False)


def _by_audio(with_audio: float, without: float) -> ModelPrice:
    return _credits(PriceLine(with_audio, audio=True), PriceLine(without, audio=False))


_OCTOBER = "2026-10-07"
PRICES = {
    # The adapter sends 5 seconds if a request names none, since this model needs a duration.
    "gen4.5": replace(_credits(PriceLine(12)), defaults=Defaults(seconds=5)),
    "gen4_turbo": _credits(PriceLine(5)),
    "veo3.1": _by_audio(40, 20),
    "veo3.1_fast": _by_audio(15, 10),
    "seedance2_5": _by_resolution({"480p": 20, "720p": 30, "1080p": 68}, minimum=80),
    "seedance2": _by_resolution({"480p": 36, "720p": 36, "1080p": 40, "4k": 150}),
    "seedance2_fast": _credits(PriceLine(29)),
    "seedance2_mini": _credits(PriceLine(16), minimum=64),
    "wan3": _by_resolution({"480p": 5, "720p": 10, "1080p": 20}, date=_OCTOBER),
    "gemini_omni_flash": _credits(PriceLine(10)),
    "gemini_omni_flash_1.1": _by_resolution(
        {"360p": 3.4, "720p": 10, "1080p": 15, "4k": 30}, date=_OCTOBER
    ),
    "h3_max": _by_parameter({"480p": 5, "768p": 8}, date=_OCTOBER),
    "hailuo3": _by_parameter({"768p": 10, "2k": 15}),
}
