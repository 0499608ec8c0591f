"""Estimates: the price of a request, as far as price tables tell it.

An estimate takes the values that a request names, else the provider's defaults. If a default is not
known either, the dearest figure counts, so that an estimate is not too low.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Any

from reelhook.domain.catalog import Account, ModelRoute
from reelhook.domain.model import Model
from reelhook.domain.price import ModelPrice, Per, Price, PriceLine, rounded
from reelhook.domain.request import VideoRequest

PIXELS = {
    "360p": 640 * 360,
    "480p": 854 * 480,
    "540p": 960 * 540,
    "720p": 1280 * 720,
    "768p": 1366 * 768,
    "1080p": 1920 * 1080,
    "1440p": 2560 * 1440,
    "2k": 2560 * 1440,
    "4k": 3840 * 2160,
}
"""The pixels of a resolution at 16:9. A video of another ratio has about as many."""


def estimate(model: Model, request: VideoRequest) -> Price | None:
    """Return the price of a request with this model; None if it is not known."""
    return None if model.price is None else estimate_by(model.price, model, request)


def estimate_by(price: ModelPrice, model: Model | None, request: VideoRequest) -> Price | None:
    """Return the price of a request by this table; None if the table does not cover it.

    `model` None: its limits are not known.
    """
    if any(_has(request.options, name) for name in price.options.unpriced):
        return None
    if any(getattr(request, name) for name in price.options.unpriced_fields):
        return None
    seconds = _seconds(price, model, request)
    resolution = _resolution(price, model, request)
    audio = _audio(price, request)
    amounts = [
        _amount(line, seconds)
        for line in price.lines
        if _covers(line, seconds, resolution, audio=audio)
    ]
    known = [amount for amount in amounts if amount is not None]
    if not known or len(known) < len(amounts):
        return None
    images = price.image_amount * _images(request)
    return Price(rounded(max(*known, price.minimum) + images), price.unit)


def highest(prices: Iterable[Price | None]) -> Price | None:
    """Return the highest of the prices; None if one is not known, or if their units differ."""
    known: list[Price] = []
    for price in prices:
        if price is None:
            return None
        known.append(price)
    if len({price.unit for price in known}) != 1:
        return None
    return max(known, key=lambda price: price.amount)


def estimate_on(route: ModelRoute, request: VideoRequest) -> Price | None:
    """Return the price of a request on this route, in a currency if a rate is known.

    It is the highest among the accounts that may create the job.
    """
    return highest(_converted(account, route, request) for account in route.accounts)


def estimate_unconverted(route: ModelRoute, request: VideoRequest) -> Price | None:
    """Return the price of a request on this route, in the unit of its price table."""
    return highest(_on_account(account, route, request) for account in route.accounts)


def estimates(routes: Sequence[ModelRoute], request: VideoRequest) -> list[Price | None]:
    """Return the price of a request on each of the routes: its model's, then its fallbacks'."""
    return [estimate_on(route, request) for route in routes]


def _on_account(account: Account, route: ModelRoute, request: VideoRequest) -> Price | None:
    table = account.price_of(route.model, route.limits)
    return None if table is None else estimate_by(table, route.limits, request)


def _converted(account: Account, route: ModelRoute, request: VideoRequest) -> Price | None:
    price = _on_account(account, route, request)
    if price is None:
        return None
    rate = account.rate_of(price.unit, account.price_of(route.model, route.limits))
    return price if rate is None else price.at(rate)


# -- the values that a price depends on -------------------------------------------------------


def _seconds(price: ModelPrice, model: Model | None, request: VideoRequest) -> float | None:
    named = request.seconds or _option(request, price.options.seconds)
    if named is not None:
        return _number(named)
    if price.defaults.seconds is not None:
        return price.defaults.seconds
    offered = [_number(seconds) for seconds in (model.seconds if model else None) or ()]
    return max((seconds for seconds in offered if seconds is not None), default=None)


def _images(request: VideoRequest) -> int:
    frames = (request.image is not None) + (request.last_frame is not None)
    return frames + len(request.reference_images)


def _resolution(price: ModelPrice, model: Model | None, request: VideoRequest) -> str | None:
    if request.resolution is not None:
        return request.resolution
    named = _option(request, price.options.resolution)
    if price.resolution_of_size:
        size = request.size if model is None else model.size_for(request)
        offered = dict.fromkeys(line.resolution for line in price.lines)
        known = {name: PIXELS[name] for name in offered if name in PIXELS}
        if size is not None and known:
            return _nearest(size, known)
    return named.lower() if named is not None else price.defaults.resolution


def _nearest(size: str, pixels: dict[str, int]) -> str:
    width, height = map(int, size.split("x"))
    return min(pixels, key=lambda name: abs(log(pixels[name] / (width * height))))


def _audio(price: ModelPrice, request: VideoRequest) -> bool | None:
    if request.audio is not None:
        return request.audio
    named = None if price.options.audio is None else request.options.get(price.options.audio)
    if named is None:
        return price.defaults.audio
    return named if isinstance(named, bool) else None


def _has(options: Mapping[str, Any], name: str) -> bool:
    """Return True if the option is set. `content.video`: an item of the list has such a field."""
    option, _, field = name.partition(".")
    value = options.get(option)
    if not field:
        return bool(value)
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, Mapping) and field in item for item in items)


def _option(request: VideoRequest, name: str | None) -> str | None:
    value = None if name is None else request.options.get(name)
    return None if value is None else str(value)


def _number(text: str) -> float | None:
    try:
        number = float(text.removesuffix("s"))
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _covers(
    line: PriceLine, seconds: float | None, resolution: str | None, *, audio: bool | None
) -> bool:
    """Return True if the line may apply. A value that is not known (None) matches every line."""
    return (
        (line.resolution is None or resolution is None or line.resolution == resolution)
        and (line.audio is None or audio is None or line.audio == audio)
        and (line.seconds is None or seconds is None or line.seconds == seconds)
    )


def _amount(line: PriceLine, seconds: float | None) -> float | None:
    if line.per is Per.VIDEO:
        return line.amount
    return None if seconds is None else line.amount * seconds
