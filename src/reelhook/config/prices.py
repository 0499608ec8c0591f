"""Prices and rates in the accounts file, at its top or in the table of one account.

[rates]
credits = 0.01                                # USD
tokens = { amount = 0.000007, currency = "CNY" }

[prices."fal/fal-ai/veo2"]                    # provider/model; provider/* is any other model
per_second = 0.45

[prices."runway/kling_4"]
unit = "credits"
lines = [
    { per_second = 10, resolution = "720p" },
    { per_second = 20, resolution = "1080p", audio = true },
]
defaults = { seconds = 5 }
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from reelhook.config.forms import formed
from reelhook.domain.budget import JOBS
from reelhook.domain.model import Model
from reelhook.domain.price import Defaults, ModelPrice, Options, Per, Price, PriceLine

SOURCE = "REELHOOK_ACCOUNTS_FILE"
CURRENCY = "USD"


def _unit_of_money(unit: str) -> str:
    if unit == JOBS:
        raise ValueError(f"{JOBS!r} counts jobs in budgets; give the provider's unit another name")
    return unit


UNDECLARED = Options(
    seconds=None,
    resolution=None,
    audio="generate_audio",
    unpriced=(
        *("seconds", "duration", "num_frames", "frames", "fps"),
        *("size", "resolution", "width", "height"),
    ),
)
"""For a provider that does not declare its names: with an option that may set the length or the
pixels of a video, its price is not known. A client could ask for a dearer one than was estimated.
"""
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Worth = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Currency = Annotated[str, formed(r"[A-Z]{3}", "three capital letters, such as USD")]
Unit = Annotated[
    str,
    formed(
        r"[A-Za-z][A-Za-z0-9_-]{0,31}",
        "1 to 32 letters from A to Z, digits, _ and -, a letter first",
    ),
    AfterValidator(_unit_of_money),
]
Resolution = Annotated[str, StringConstraints(min_length=1, max_length=32, to_lower=True)]
Seconds = Annotated[int, Field(ge=1, le=9999, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RateEntry(_Entry):
    """The worth of one unit, in a currency."""

    amount: Worth
    currency: Currency = CURRENCY

    @property
    def price(self) -> Price:
        """The worth as a price."""
        return Price(self.amount, self.currency)


def _rate(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"amount": float(value)} if number else value


class _Figure(_Entry):
    per_second: Amount | None = None
    per_video: Amount | None = None

    def _amount(self) -> tuple[float, Per] | None:
        if self.per_video is not None:
            return self.per_video, Per.VIDEO
        return None if self.per_second is None else (self.per_second, Per.SECOND)


class LineEntry(_Figure):
    """One figure, and the requests that it applies to."""

    resolution: Resolution | None = None
    audio: Flag | None = None
    seconds: Seconds | None = None

    @model_validator(mode="after")
    def _one_figure(self) -> Self:
        if (self.per_second is None) == (self.per_video is None):
            raise ValueError("give per_second or per_video")
        return self

    @property
    def line(self) -> PriceLine:
        """The figure in the domain's form."""
        amount, per = self._amount() or (0.0, Per.SECOND)
        return PriceLine(amount, per, self.resolution, self.audio, self.seconds)


class DefaultValues(_Entry):
    """The values that the provider chooses if a request names none."""

    seconds: Seconds | None = None
    resolution: Resolution | None = None
    audio: Flag | None = None


class PriceTable(_Figure):
    """The price of a model: one figure, or several in `lines`."""

    unit: Unit = CURRENCY
    lines: tuple[LineEntry, ...] = ()
    minimum: Amount = 0.0
    defaults: DefaultValues = DefaultValues()

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = (self.per_second is not None, self.per_video is not None, bool(self.lines))
        if sum(given) != 1:
            raise ValueError("give one of per_second, per_video and lines")
        return self

    def price(self, built_in: ModelPrice | None, options: Options) -> ModelPrice:
        """Return the table in the domain's form.

        A model that has a price of its own keeps its defaults and the names of its options.
        """
        one = self._amount()
        lines = tuple(line.line for line in self.lines) if one is None else (PriceLine(*one),)
        known = built_in or ModelPrice(self.unit, lines, SOURCE, None, options=options)
        given = {name: value for name, value in self.defaults if value is not None}
        defaults: Defaults = replace(known.defaults, **given)
        return replace(
            known,
            unit=self.unit,
            lines=lines,
            source=SOURCE,
            date=None,
            defaults=defaults,
            minimum=self.minimum,
            image_amount=0.0,
        )


Rates = dict[Unit, Annotated[RateEntry, BeforeValidator(_rate)]]
Tables = dict[Annotated[str, StringConstraints(min_length=1, max_length=255)], PriceTable]


def worth(rates: Mapping[str, RateEntry]) -> dict[str, Price]:
    """Return the rates in the domain's form."""
    return {unit: rate.price for unit, rate in rates.items()}


def tables(prices: Mapping[str, PriceTable], models: Iterable[Model]) -> dict[str, ModelPrice]:
    """Return the prices in the domain's form, for a provider with these models.

    A model without a built-in price gets the names of options that the provider's others have, or
    else `UNDECLARED`.
    """
    built_in = {model.name: model.price for model in models if model.price is not None}
    usual = next((price.options for price in built_in.values()), UNDECLARED)
    return {name: table.price(built_in.get(name), usual) for name, table in prices.items()}
