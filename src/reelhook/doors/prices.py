"""Prices, as the routes of several doors show them."""

from pydantic import Field

from reelhook.domain.price import Price
from reelhook.doors.fields import Schema


class PriceResponse(Schema):
    """An amount of a currency, or of a provider's own unit."""

    amount: float
    unit: str = Field(description="A currency, such as USD, or the provider's own: credits")


def maybe_price(price: Price | None) -> PriceResponse | None:
    """Return a price, as a response shows it; None: not known."""
    return None if price is None else PriceResponse(amount=price.amount, unit=price.unit)
