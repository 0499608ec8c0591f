"""Positions in Replicate's listing, so that a page can begin after any known entry.

The listing (replicate-python 2.0.0b4, `types/prediction_list_params.py`) takes no id as a cursor.
It has `created_before`, a time, and for the end of a page the opaque `next`. Times may be equal,
and may be shown less precisely than they are stored. So a page begins a little earlier, unless
the next entry is known to be older: no entry may be skipped.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

ENTRIES_MAX = 200_000
"""The number of remembered entries: 150 bytes each, 30 MB in all. The oldest are dropped first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MAX = 10**17
"""The year 5138: a larger number is not a time."""
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?P<fraction>\d{1,9}))?(?:Z|[+-]\d\d:\d\d)?", re.ASCII
)


class CursorCache:
    """Remembers, by id, the `created_before` of the page after an entry."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._before: dict[str, int] = {}
        self._next: dict[str, str] = {}

    def seen(self, provider_job_id: str, created_at: object) -> None:
        """Record an entry of which only its own time is known."""
        if provider_job_id not in self._before:
            self._put(provider_job_id, _parsed_time(created_at), None)

    def seen_page(self, entries: Iterable[tuple[str, object]], following: str | None) -> None:
        """Record a page: ids with their `created_at`, and the query of the next page."""
        last: tuple[str, tuple[int, int] | None] | None = None
        for provider_job_id, created_at in entries:
            time = _parsed_time(created_at)
            if last is not None:
                self._put(*last, time)
            last = provider_job_id, time
        if last is not None:
            self._put(*last, None)
            if following is not None:
                self._next[last[0]] = following
                if len(self._next) > self._entries_max:
                    del self._next[next(iter(self._next))]

    def next_of(self, provider_job_id: str) -> str | None:
        """Return the query of the next page if the entry was the last of its page."""
        return self._next.get(provider_job_id)

    def forget_next(self, provider_job_id: str) -> None:
        """Drop the query, since it was refused."""
        self._next.pop(provider_job_id, None)

    def before(self, provider_job_id: str) -> str | None:
        """Return the `created_before` of the page after the entry; None if its time is unknown."""
        microseconds = self._before.get(provider_job_id)
        if microseconds is None:
            return None
        time = _EPOCH + microseconds * _MICROSECOND
        return time.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _put(
        self,
        provider_job_id: str,
        time: tuple[int, int] | None,
        next_time: tuple[int, int] | None,
    ) -> None:
        self._next.pop(provider_job_id, None)
        if time is None:
            return
        at, precision = time
        next_is_older = next_time is not None and next_time[0] < at
        before = at if next_is_older else at + precision
        known = self._before.pop(provider_job_id, before)
        # Once the next entry was seen to be older, it stays older.
        self._before[provider_job_id] = min(known, before) if known >= at else before
        if len(self._before) > self._entries_max:
            oldest = next(iter(self._before))
            del self._before[oldest]
            self._next.pop(oldest, None)


def _parsed_time(created_at: object) -> tuple[int, int] | None:
    """Return a time in microseconds since the epoch, and its precision in microseconds."""
    if not isinstance(created_at, str) or not (shape := _TIMESTAMP.fullmatch(created_at)):
        return None
    try:
        read = datetime.fromisoformat(created_at)
        read = read if read.tzinfo else read.replace(tzinfo=UTC)
        microseconds = (read - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
    if not 0 <= microseconds < _MICROSECONDS_MAX:
        return None
    digits = min(len(shape["fraction"] or ""), 6)
    return microseconds, 10 ** (6 - digits)
