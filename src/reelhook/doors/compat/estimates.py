"""The body that the route of estimates returns."""

from collections.abc import Sequence

from pydantic import Field

from reelhook.domain.pricing import highest
from reelhook.doors.fields import Schema, is_absent
from reelhook.doors.prices import PriceResponse, maybe_price
from reelhook.gateway import ModelEstimate


class ModelEstimateResponse(Schema):
    """The price of a request with one of its models."""

    model: str
    price: PriceResponse | None = Field(description="null: not known")
    unconverted: PriceResponse | None = Field(
        None,
        exclude_if=is_absent,
        description="The price in the provider's own unit, if `price` was converted from it",
    )


class EstimateResponse(Schema):
    """The price of a request: with its model, then with each of its fallbacks."""

    models: list[ModelEstimateResponse]
    highest: PriceResponse | None = Field(
        description="The highest of the prices; null if one is not known, or in another unit"
    )


def estimate_response(estimates: Sequence[ModelEstimate]) -> EstimateResponse:
    """Return the estimates, as a response shows them."""
    return EstimateResponse(
        models=[
            ModelEstimateResponse(
                model=one.model,
                price=maybe_price(one.price),
                unconverted=maybe_price(None if one.unconverted == one.price else one.unconverted),
            )
            for one in estimates
        ],
        highest=maybe_price(highest(one.price for one in estimates)),
    )
