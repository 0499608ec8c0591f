"""`Retry-After`: seconds or an HTTP date (RFC 9110, section 10.2.3)."""

from datetime import UTC
from email.utils import parsedate_to_datetime

SECONDS_MAX = 366 * 24 * 3600.0
"""A longer wish is read as this; what is followed of it is the schedule's business."""


def parse_retry_after(value: str | None, now: int) -> float | None:
    """Return the wait in seconds, 0 to `SECONDS_MAX`; None without a readable wish.

    `now` is the wall clock, in milliseconds since the epoch.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), SECONDS_MAX)
    seconds = _seconds_until(value, now)
    return None if seconds is None else min(max(seconds, 0.0), SECONDS_MAX)


def _seconds_until(date: str, now: int) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now / 1000
