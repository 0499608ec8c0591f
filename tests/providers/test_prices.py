"""The prices of the built-in providers: every figure has a source and a date."""

import re
from collections.abc import Mapping, Sequence

import pytest

from reelhook.domain.model import Model
from reelhook.domain.price import ModelPrice, Per, Price
from reelhook.domain.pricing import estimate
from reelhook.domain.request import VideoRequest
from reelhook.providers.ark.models import MODELS as ARK
from reelhook.providers.ark.prices import PRICES as ARK_PRICES
from reelhook.providers.ark.provider import Ark
from reelhook.providers.fal.models import MODELS as FAL
from reelhook.providers.fal.prices import PRICES as FAL_PRICES
from reelhook.providers.fal.provider import Fal
from reelhook.providers.replicate.models import MODELS as REPLICATE
from reelhook.providers.replicate.prices import PRICES as REPLICATE_PRICES
from reelhook.providers.replicate.provider import Replicate
from reelhook.providers.runway.models import MODELS as RUNWAY
from reelhook.providers.runway.prices import PRICES as RUNWAY_PRICES
from reelhook.providers.runway.provider import Runway
from reelhook.providers.xai.prices import PRICES as XAI_PRICES
from reelhook.providers.xai.provider import XAI
from reelhook.providers.xai.video import MODELS as XAI_MODELS

PROVIDERS: dict[str, tuple[Sequence[Model], Mapping[str, ModelPrice]]] = {
    "ark": (ARK, ARK_PRICES),
    "fal": (FAL, FAL_PRICES),
    "replicate": (REPLICATE, REPLICATE_PRICES),
    "runway": (RUNWAY, RUNWAY_PRICES),
    "xai": (XAI_MODELS, XAI_PRICES),
}
TABLES = [
    pytest.param(table, id=f"{provider}/{name}")
    for provider, (_, prices) in PROVIDERS.items()
    for name, table in prices.items()
]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_price_belongs_to_a_listed_model(provider: str) -> None:
    models, prices = PROVIDERS[provider]
    assert {model.name for model in models if model.price is not None} == set(prices)


@pytest.mark.parametrize("table", TABLES)
def test_every_price_has_a_source_and_a_date(table: ModelPrice) -> None:
    assert table.source.startswith("https://")
    assert table.date is not None
    assert re.fullmatch(r"2026-\d\d-\d\d", table.date)


@pytest.mark.parametrize("table", TABLES)
def test_every_figure_is_positive_and_of_a_known_unit(table: ModelPrice) -> None:
    assert table.unit in {"USD", "CNY", "credits"}
    assert table.lines
    assert all(line.amount > 0 for line in table.lines)
    assert all(line.per is Per.SECOND for line in table.lines)
    assert all(rate.unit in {"USD", "CNY"} for rate in table.rates.values())


def price(models: Sequence[Model], name: str, **fields: object) -> Price | None:
    model = next(model for model in models if model.name == name)
    return estimate(model, VideoRequest("A fox", **fields))  # type: ignore[arg-type]  # fields of any test


def test_runway_s_size_decides() -> None:
    assert price(RUNWAY, "seedance2", seconds="5", size="1920x1080") == Price(200, "credits")
    assert price(RUNWAY, "seedance2", seconds="5", size="960x960") == Price(180, "credits")
    assert price(RUNWAY, "seedance2_5", seconds="3", size="854x480") == Price(80, "credits")
    assert price(RUNWAY, "hailuo3", seconds="5", options={"resolution": "768P"}) == Price(
        50, "credits"
    )
    assert price(RUNWAY, "veo3.1", seconds="8", options={"audio": False}) == Price(160, "credits")
    assert price(RUNWAY, "gen4.5") == Price(60, "credits")
    assert price(RUNWAY, "kling_4", seconds="5") is None
    references = {"references": [{"uri": "https://example.com/fox.png"}]}
    assert price(RUNWAY, "hailuo3", seconds="5", options=references) is None
    uri = ("https://example.com/fox.png",)
    assert price(RUNWAY, "hailuo3", seconds="5", reference_images=uri) is None
    assert price(RUNWAY, "hailuo3", seconds="5", resolution="2k") == Price(75, "credits")
    assert price(RUNWAY, "seedance2", seconds="5", resolution="4k") == Price(750, "credits")
    assert price(RUNWAY, "veo3.1", seconds="8", audio=False) == Price(160, "credits")


def test_ark_charges_by_tokens() -> None:
    one = price(ARK, "dreamina-seedance-2-0-260128", seconds="5", size="1280x720")
    assert one is not None
    assert one.unit == "USD"
    assert 0.75 < one.amount < 0.77  # $0.15 a second at 16:9, on the page of prices
    last = {"content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}
    same = price(ARK, "dreamina-seedance-2-0-260128", seconds="5", size="1280x720", options=last)
    assert same == one
    film = {"content": [{"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}]}
    assert price(ARK, "dreamina-seedance-2-0-260128", seconds="5", options=film) is None
    audio = {"generate_audio": False, "resolution": "480p"}
    silent = price(ARK, "seedance-1-5-pro-251215", seconds="5", options=audio)
    assert silent is not None
    assert 0.05 < silent.amount < 0.07


def test_the_provider_s_defaults_count() -> None:
    assert price(XAI_MODELS, "grok-imagine-video") == Price(0.4, "USD")
    image = "https://example.com/fox.png"
    assert price(XAI_MODELS, "grok-imagine-video", image=image) == Price(0.402, "USD")
    assert price(FAL, "fal-ai/veo2", seconds="7") == Price(3.5, "USD")
    assert price(FAL, "fal-ai/veo2") == Price(2.5, "USD")
    assert price(REPLICATE, "kwaivgi/kling-v2.1") == Price(0.25, "USD")
    assert price(REPLICATE, "kwaivgi/kling-v2.1", options={"mode": "pro"}) == Price(0.45, "USD")
    assert price(REPLICATE, "kwaivgi/kling-v2.1", resolution="1080p") == Price(0.45, "USD")
    assert price(REPLICATE, "kwaivgi/kling-v2.1", resolution="720p") == Price(0.25, "USD")
    assert price(REPLICATE, "google/veo-3-fast", audio=False) == Price(0.8, "USD")
    videos = ("https://example.com/fox.mp4",)
    assert price(REPLICATE, "bytedance/seedance-2.0", reference_videos=videos) is None
    assert price(FAL, "fal-ai/veo3/fast", audio=False) == Price(0.8, "USD")
    assert price(FAL, "fal-ai/veo3/fast") == Price(1.2, "USD")


@pytest.mark.parametrize("name", ["image", "last_frame", "reference_images", "video"])
def test_a_file_in_the_options_makes_xai_s_price_unknown(name: str) -> None:
    file = {name: {"url": "https://example.com/fox.png"}}
    assert price(XAI_MODELS, "grok-imagine-video-1.5", options=file) is None


def test_only_ark_says_that_it_charges_for_no_failed_job() -> None:
    providers = (Ark, Fal, Replicate, Runway, XAI)
    assert [one.name for one in providers if one.traits.failures_are_free] == ["ark"]
