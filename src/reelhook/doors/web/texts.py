"""Numbers, times and amounts as pages show them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from reelhook.domain.event import Instant, iso
from reelhook.domain.job import Job
from reelhook.domain.money import whole
from reelhook.domain.price import Price

_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
NOTHING = "\u2013"
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥"}


def span(milliseconds: float) -> str:
    """Return a duration in its two largest units: `850 ms`, `3.4 s`, `2 min 5 s`, `3 h 10 min`."""
    ms = max(0, round(milliseconds))
    if ms < _SECOND:
        return f"{ms} ms"
    if ms < 10 * _SECOND:
        return f"{ms / _SECOND:.1f} s".replace(".0 s", " s")
    for unit, size, lesser, lesser_size in (
        ("d", _DAY, "h", _HOUR),
        ("h", _HOUR, "min", _MINUTE),
        ("min", _MINUTE, "s", _SECOND),
    ):
        if ms >= size:
            rest = ms % size // lesser_size
            return f"{ms // size} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{ms // _SECOND} s"


def rough(milliseconds: float) -> str:
    """Return a duration in its largest unit, as `app.js` writes it too."""
    ms = abs(milliseconds)
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if ms >= size:
            return f"{round(ms // size)} {unit}"
    return f"{round(ms // _SECOND)} s"


def ago(at: Instant | None, now: Instant) -> Markup:
    """Return a time element: how long ago it was, or in how long it will be."""
    if at is None:
        return Markup('<span class="none">{0}</span>').format(NOTHING)
    distance = now - at
    text = "now" if abs(distance) < _SECOND else rough(distance)
    if text != "now":
        text = f"{text} ago" if distance > 0 else f"in {text}"
    return Markup('<time datetime="{0}" title="{1}" data-ago>{2}</time>').format(
        iso(at), clock_text(at), text
    )


def clock_text(at: Instant) -> str:
    """Return a time with its date, in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: float | None) -> str:
    """Return a number with separators of thousands."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def bytes_text(count: float | None) -> str:
    """Return a size: `13 KiB`, `2.4 MiB`."""
    if count is None:
        return NOTHING
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def money(amount: float | None, unit: str | None) -> str:
    """Return an amount with its currency, or its provider's own unit."""
    if amount is None or unit is None:
        return NOTHING
    digits = f"{amount:,.2f}" if abs(amount) >= 0.1 or amount == 0 else f"{amount:,.4f}"
    symbol = _SYMBOLS.get(unit)
    return f"{symbol}{digits}" if symbol else f"{digits.removesuffix('.00')} {unit}"


def price(one: Price | None) -> str:
    """Return a price."""
    return NOTHING if one is None else money(one.amount, one.unit)


def millionths(amount: int, unit: str) -> str:
    """Return an amount of a budget, in millionths of its unit."""
    return money(float(whole(amount)), unit)


def cost(job: Job) -> str:
    """Return the cost of a job: charged, else quoted (`~`), else estimated (`~`)."""
    if job.charged_amount is not None:
        return money(job.charged_amount, job.charged_unit)
    if job.quoted_amount is not None:
        return f"~{money(job.quoted_amount, job.quoted_unit)}"
    if job.estimated_amount is not None and job.status.value not in {"failed", "canceled"}:
        return f"~{money(job.estimated_amount, job.estimated_unit)}"
    return NOTHING


def percent(part: float, of: float) -> str:
    """Return a share; a dash of nothing."""
    if not of:
        return NOTHING
    share = 100 * part / of
    return f"{share:.0f} %" if share in {0, 100} else f"{share:.1f} %"


def pretty_json(text: bytes | str | dict[str, Any]) -> str:
    """Return JSON with indentation; the text itself if it is none."""
    try:
        parsed = text if isinstance(text, dict) else json.loads(text)
    except ValueError:
        return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return json.dumps(parsed, indent=2, ensure_ascii=False)


def header_lines(headers: Mapping[str, str]) -> str:
    """Return headers as they are written in a request."""
    return "\n".join(f"{name}: {text}" for name, text in headers.items())


def capped(count: int, most: int) -> str:
    """Return a count that was only made up to `most`: `1,000+`."""
    return f"{number(most)}+" if count > most else number(count)


def breakable(text: str) -> Markup:
    """Return a long id that may break after its underscores."""
    return Markup("_<wbr>").join(escape(part) for part in text.split("_"))
