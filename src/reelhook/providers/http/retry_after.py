"""How long a provider asks us to wait, from its headers, its body, or its words."""

import re
from collections.abc import Mapping

from reelhook.domain.retry_after import parse_retry_after

RETRY_AFTER_SECONDS_MAX = 24 * 3600.0
POLL_AFTER_SECONDS_MAX = 3600.0

_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_IN_WORDS = re.compile(
    r"(?:resets in ~?|available in |(?:try again|retry) (?:in|after) )(\d{1,9}(?:\.\d{1,9})?) ?s",
    re.ASCII | re.IGNORECASE,
)
"""How a refusal says its wait: both forms of Replicate's, and OpenAI's."""


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


def wait_seconds(headers: Mapping[str, str], body: object, words: str, now: float) -> float | None:
    """Return how long a refusal asks to wait, in seconds, at most a day; None where it does not.

    By its `Retry-After`, by `retry_after` in its body (Replicate), by its words ("resets in ~5s"),
    or by `ratelimit-reset` where `ratelimit-remaining` is 0. `now` is in Unix seconds.
    """
    told = retry_after_seconds(headers, now)
    if told is None and isinstance(body, dict):
        told = _seconds(body.get("retry_after"))
    if told is None and (found := _IN_WORDS.search(words)):
        told = _seconds(found[1])
    return reset_seconds(headers) if told is None else told


def reset_seconds(headers: Mapping[str, str]) -> float | None:
    """Return in how many seconds requests are allowed again; None where some still are.

    `ratelimit-remaining` and `ratelimit-reset` as Replicate sends them with every response.
    """
    if _number(headers.get("ratelimit-remaining")) != 0:
        return None
    return _seconds(headers.get("ratelimit-reset"))


def poll_after_seconds(headers: Mapping[str, str]) -> float:
    """Return the wait that `openai-poll-after-ms` asks for, in seconds, 0 to an hour."""
    milliseconds = _number(headers.get("openai-poll-after-ms")) or 0.0
    return min(milliseconds / 1000, POLL_AFTER_SECONDS_MAX)


def _seconds(value: object) -> float | None:
    told = _number(str(value)) if isinstance(value, str | int | float) else None
    return None if told is None else min(told, RETRY_AFTER_SECONDS_MAX)


def _number(value: str | None) -> float | None:
    text = (value or "").strip()
    return float(text) if _NUMBER.fullmatch(text) else None
