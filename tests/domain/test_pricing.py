"""The price of a request, by the price table of its model."""

import pytest

from reelhook.domain.catalog import Account, ModelRoute
from reelhook.domain.model import Model
from reelhook.domain.price import Defaults, ModelPrice, Options, Per, Price, PriceLine
from reelhook.domain.pricing import estimate, estimate_on, estimates, highest
from reelhook.domain.request import VideoRequest

SOURCE = "https://prices.example"


def model(*lines: PriceLine, unit: str = "USD", **facts: object) -> Model:
    price = ModelPrice(unit, lines, SOURCE, "2026-11-29", **facts)  # type: ignore[arg-type]  # facts of any test
    return Model("m", seconds=("4", "8"), price=price)


def request(**fields: object) -> VideoRequest:
    return VideoRequest("A fox", **fields)  # type: ignore[arg-type]  # fields of any test


BY_RESOLUTION = (PriceLine(0.05, resolution="480p"), PriceLine(0.07, resolution="720p"))
BY_AUDIO = (PriceLine(0.2, audio=False), PriceLine(0.4, audio=True))


def test_a_price_by_second_is_multiplied_by_the_seconds() -> None:
    assert estimate(model(PriceLine(0.1)), request(seconds="8")) == Price(0.8, "USD")


def test_a_model_without_a_table_has_no_estimate() -> None:
    assert estimate(Model("m"), request(seconds="8")) is None


def test_a_video_without_a_length_has_the_provider_s_default() -> None:
    by_default = model(PriceLine(0.1), defaults=Defaults(seconds=5))
    assert estimate(by_default, request()) == Price(0.5, "USD")


def test_without_a_known_default_the_longest_video_counts() -> None:
    assert estimate(model(PriceLine(0.1)), request()) == Price(0.8, "USD")


def test_without_any_length_there_is_no_estimate() -> None:
    table = model(PriceLine(0.1)).price
    assert estimate(Model("m", price=table), request()) is None


@pytest.mark.parametrize(
    ("fields", "amount"),
    [
        ({"size": "854x480"}, 0.4),
        ({"size": "1280x720"}, 0.56),
        ({"size": "720x1280"}, 0.56),
        ({"size": "1920x1080"}, 0.56),  # the nearest one that the table has
        ({"options": {"resolution": "480p"}}, 0.4),
        ({"options": {"resolution": "480P"}}, 0.4),
        ({}, 0.56),  # no default is known: the dearest
    ],
)
def test_the_resolution_decides(fields: dict[str, object], amount: float) -> None:
    priced = model(*BY_RESOLUTION)
    assert estimate(priced, request(seconds="8", **fields)) == Price(amount, "USD")


def test_a_resolution_that_the_table_lacks_has_no_estimate() -> None:
    wanted = request(seconds="8", options={"resolution": "8k"})
    assert estimate(model(*BY_RESOLUTION), wanted) is None


@pytest.mark.parametrize(("option", "amount"), [({}, 3.2), ({"audio": False}, 1.6)])
def test_audio_decides(option: dict[str, object], amount: float) -> None:
    priced = model(*BY_AUDIO, options=Options(audio="audio"), defaults=Defaults(audio=True))
    assert estimate(priced, request(seconds="8", options=option)) == Price(amount, "USD")


def test_a_price_per_video_may_depend_on_its_length() -> None:
    priced = model(PriceLine(0.3, Per.VIDEO, seconds=4), PriceLine(0.5, Per.VIDEO, seconds=8))
    assert estimate(priced, request(seconds="4")) == Price(0.3, "USD")
    assert estimate(priced, request()) == Price(0.5, "USD")
    assert estimate(priced, request(seconds="6")) is None


def test_a_length_among_the_options_counts() -> None:
    priced = model(PriceLine(0.1), defaults=Defaults(seconds=5))
    assert estimate(priced, request(options={"duration": 10})) == Price(1.0, "USD")
    assert estimate(priced, request(options={"duration": "8s"})) == Price(0.8, "USD")
    assert estimate(priced, request(options={"duration": "auto"})) is None


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({}, True),
        ({"draft": False, "references": [], "content": None}, True),
        ({"content": [{"image": "fox.png"}, "odd"]}, True),
        ({"draft": True}, False),
        ({"references": ["fox.mp4"]}, False),
        ({"content": [{"image": "fox.png"}, {"video": "fox.mp4"}]}, False),
    ],
)
def test_some_options_change_the_price_in_an_unknown_way(
    options: dict[str, object], known: bool
) -> None:
    unpriced = Options(unpriced=("draft", "references", "content.video"))
    priced = model(PriceLine(0.1), options=unpriced)
    found = estimate(priced, request(seconds="4", options=options))
    assert found == (Price(0.4, "USD") if known else None)


def test_a_first_image_and_a_minimum_are_added() -> None:
    priced = model(PriceLine(0.1), minimum=0.6, image_amount=0.01)
    wanted = request(seconds="4", image="https://example.com/fox.png")
    assert estimate(priced, wanted) == Price(0.61, "USD")


def test_the_fields_of_a_request_decide_before_the_options() -> None:
    priced = model(*BY_RESOLUTION)
    options = {"resolution": "480p"}
    high = request(seconds="8", options={"resolution": "1080p"})
    assert estimate(priced, request(seconds="8", resolution="1080p", options=options)) == (
        estimate(priced, high)
    )
    sounding = model(*BY_AUDIO, options=Options(audio="audio"), defaults=Defaults(audio=True))
    assert estimate(sounding, request(seconds="8", audio=False)) == Price(1.6, "USD")


def test_every_image_of_a_request_is_paid_for() -> None:
    priced = model(PriceLine(0.1), image_amount=0.01)
    url = "https://example.com/fox.png"
    wanted = request(seconds="4", image=url, last_frame=url, reference_images=(url, url))
    assert estimate(priced, wanted) == Price(0.44, "USD")


def test_the_price_with_reference_videos_is_not_known() -> None:
    url = "https://example.com/fox.mp4"
    wanted = request(seconds="4", reference_videos=(url,))
    assert estimate(model(PriceLine(0.1)), wanted) is None
    known = Options(unpriced_fields=())
    assert estimate(model(PriceLine(0.1), options=known), wanted) == Price(0.4, "USD")


# -- routes -----------------------------------------------------------------------------------


def route(priced: Model | None) -> ModelRoute:
    return ModelRoute("p/m", "p", "m", (Account("p", "p"),), priced)


def test_a_rate_turns_a_provider_s_own_unit_into_money() -> None:
    priced = model(PriceLine(25), unit="credits", rates={"credits": Price(0.01, "USD")})
    assert estimate(priced, request(seconds="4")) == Price(100, "credits")
    assert estimate_on(route(priced), request(seconds="4")) == Price(1, "USD")


def test_the_rate_of_an_account_wins() -> None:
    priced = model(PriceLine(25), unit="credits", rates={"credits": Price(0.01, "USD")})
    account = Account("p", "p", rates={"credits": Price(0.02, "EUR")})
    wanted = ModelRoute("p/m", "p", "m", (account,), priced)
    assert estimate_on(wanted, request(seconds="4")) == Price(2, "EUR")


def test_the_highest_price_of_a_model_and_its_fallbacks() -> None:
    cheap, dear, unknown = model(PriceLine(0.1)), model(PriceLine(0.3)), Model("m")
    wanted = request(seconds="4")
    prices = estimates([route(cheap), route(dear)], wanted)
    assert prices == [Price(0.4, "USD"), Price(1.2, "USD")]
    assert highest(prices) == Price(1.2, "USD")
    assert highest(estimates([route(cheap), route(unknown)], wanted)) is None
    assert highest(estimates([route(None)], wanted)) is None
    assert highest([Price(1, "USD"), Price(2, "credits")]) is None
    assert highest([]) is None
