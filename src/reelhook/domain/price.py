"""The price of a model, as its provider publishes it or as the operator sets it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Price:
    """An amount of a currency (`USD`, `CNY`) or of a provider's own unit (`credits`)."""

    amount: float
    unit: str

    def at(self, rate: "Price") -> "Price":
        """Return the worth of this price if `rate` is that of one of its units."""
        return Price(rounded(self.amount * rate.amount), rate.unit)


def rounded(amount: float) -> float:
    """Return the amount in whole millionths, so that 0.1 x 3 is 0.3."""
    return round(amount, 6)


class Per(StrEnum):
    """The quantity that an amount is multiplied by."""

    SECOND = "second"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One figure of a price table. It applies to the requests that match everything it names.

    `resolution` is like "720p", or the provider's name of a quality. `seconds` is the length of the
    video. None: any. `audio` None: with and without.
    """

    amount: float
    per: Per = Per.SECOND
    resolution: str | None = None
    audio: bool | None = None
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Defaults:
    """The values that a provider chooses if a request names none. None: not known."""

    seconds: int | None = None
    resolution: str | None = None
    audio: bool | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """The names under which a request may set these values among the provider's own options.

    None: there is no such option, so the value of `Defaults` holds. With one of the options
    `unpriced`, or one of a request's own `unpriced_fields`, the table does not give the price.
    """

    seconds: str | None = "duration"
    resolution: str | None = "resolution"
    audio: str | None = None
    unpriced: tuple[str, ...] = ()
    unpriced_fields: tuple[str, ...] = ("reference_videos",)


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """The price table of a model: figures in one unit, their source and its date.

    `rates` give the worth of one of the provider's own units. A video costs `minimum` at least.
    `image_amount` is added for each image of the request. `resolution_of_size` is True if the size
    of a request sets the resolution of its video.
    `source` is the address of the figures, `date` the day (YYYY-MM-DD) on which they were checked;
    None: the operator has set them.
    """

    unit: str
    lines: tuple[PriceLine, ...]
    source: str
    date: str | None
    defaults: Defaults = Defaults()
    options: Options = Options()
    minimum: float = 0.0
    image_amount: float = 0.0
    resolution_of_size: bool = True
    rates: Mapping[str, Price] = field(default_factory=dict, hash=False)
