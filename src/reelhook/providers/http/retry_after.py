"""The wait that a provider asks for, in its headers, its body or its message."""

import re
from collections.abc import Mapping

from reelhook.domain.retry_after import parse_retry_after

RETRY_AFTER_SECONDS_MAX = 24 * 3600.0
POLL_AFTER_SECONDS_MAX = 3600.0

_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_IN_MESSAGE = re.compile(
    r"(?:resets in ~?|available in |(?:try again|retry) (?:in|after) )(\d{1,9}(?:\.\d{1,9})?) ?s",
    re.ASCII | re.IGNORECASE,
)
"""The wait in a message, in both of Replicate's forms and in OpenAI's."""


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of `Retry-After` (a number or an HTTP date), at most a day; else None.

    `retry-after-ms` is OpenAI's and Azure's finer form (the official SDK reads it first). `now` is
    in Unix seconds.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, RETRY_AFTER_SECONDS_MAX)
    value = headers.get("Retry-After")
    seconds = _number(value)  # some providers send fractions
    if seconds is None:
        return parse_retry_after(value, now, seconds_max=RETRY_AFTER_SECONDS_MAX)
    return min(seconds, RETRY_AFTER_SECONDS_MAX)


def wait_seconds(
    headers: Mapping[str, str], body: object, message: str, now: float
) -> float | None:
    """Return the wait that a refusal asks for, in seconds, at most a day; None without one.

    It is in `Retry-After`, in `retry_after` of the body (Replicate), in the message ("resets in
    ~5s"), or in `ratelimit-reset` if `ratelimit-remaining` is 0. `now` is in Unix seconds.
    """
    seconds = retry_after_seconds(headers, now)
    if seconds is None and isinstance(body, dict):
        seconds = _seconds(body.get("retry_after"))
    if seconds is None and (match := _IN_MESSAGE.search(message)):
        seconds = _seconds(match[1])
    return reset_seconds(headers) if seconds is None else seconds


def reset_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until requests are allowed again; None if some still are.

    Replicate sends `ratelimit-remaining` and `ratelimit-reset` with every response.
    """
    if _number(headers.get("ratelimit-remaining")) != 0:
        return None
    return _seconds(headers.get("ratelimit-reset"))


def poll_after_seconds(headers: Mapping[str, str]) -> float:
    """Return the wait that `openai-poll-after-ms` asks for, in seconds, 0 to an hour."""
    milliseconds = _number(headers.get("openai-poll-after-ms")) or 0.0
    return min(milliseconds / 1000, POLL_AFTER_SECONDS_MAX)


def _seconds(value: object) -> float | None:
    seconds = _number(str(value)) if isinstance(value, str | int | float) else None
    return None if seconds is None else min(seconds, RETRY_AFTER_SECONDS_MAX)


def _number(value: str | None) -> float | None:
    text = (value or "").strip()
    return float(text) if _NUMBER.fullmatch(text) else None
