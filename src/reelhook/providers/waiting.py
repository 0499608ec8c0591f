"""How long a provider asks us to wait, from its headers."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

RETRY_AFTER_SECONDS_MAX = 24 * 3600.0
POLL_AFTER_SECONDS_MAX = 3600.0

_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_LONG_NUMBER = re.compile(r"\d{13,400}", re.ASCII)
"""More seconds than anyone means; but to wait is what it says."""


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of `Retry-After` (a number or an HTTP date), at most a day; else None.

    `retry-after-ms` is OpenAI's and Azure's finer form (the official SDK reads it first). `now` is
    in Unix seconds.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, RETRY_AFTER_SECONDS_MAX)
    value = headers.get("Retry-After")
    if value is None:
        return None
    seconds = RETRY_AFTER_SECONDS_MAX if _LONG_NUMBER.fullmatch(value.strip()) else _number(value)
    if seconds is None:
        moment = _moment(value)
        seconds = None if moment is None else max(0.0, moment - now)
    return None if seconds is None else min(seconds, RETRY_AFTER_SECONDS_MAX)


def poll_after_seconds(headers: Mapping[str, str]) -> float:
    """Return the wait that `openai-poll-after-ms` asks for, in seconds, 0 to an hour."""
    milliseconds = _number(headers.get("openai-poll-after-ms")) or 0.0
    return min(milliseconds / 1000, POLL_AFTER_SECONDS_MAX)


def _number(value: str | None) -> float | None:
    text = (value or "").strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _moment(http_date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
