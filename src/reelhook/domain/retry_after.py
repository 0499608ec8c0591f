"""`Retry-After`: a number of seconds, or an HTTP date (RFC 9110, section 10.2.3)."""

from datetime import UTC
from email.utils import parsedate_to_datetime


def parse_retry_after(value: str | None, now_seconds: float, *, seconds_max: float) -> float | None:
    """Return the wait in seconds, from 0 to `seconds_max`; None for a missing or unreadable value.

    `now_seconds` is the wall clock, in Unix seconds.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), seconds_max)
    instant = _unix_seconds(text)
    return None if instant is None else min(max(instant - now_seconds, 0.0), seconds_max)


def _unix_seconds(http_date: str) -> float | None:
    try:
        time = parsedate_to_datetime(http_date)
        return time.replace(tzinfo=time.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
