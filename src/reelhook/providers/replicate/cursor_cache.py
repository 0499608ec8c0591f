"""Where entries stand in Replicate's listing, so that a page can begin behind any of them.

The listing (replicate-python 2.0.0b4, `types/prediction_list_params.py`) knows no id as a cursor:
it has `created_before`, a moment, and for the end of a page the opaque `next`. Moments may be
equal, and may be shown less exactly than they are kept: where an entry's follower is not known to
be older, the page begins a little earlier, so that nothing is passed over.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

PLACES_MAX = 200_000
"""How many entries are remembered: 150 bytes each, 30 MB in all. The oldest go first."""

Fields = Mapping[str, object]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MAX = 10**17
"""The year 5138: what lies behind it is no moment."""
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?P<fraction>\d{1,9}))?(?:Z|[+-]\d\d:\d\d)?", re.ASCII
)


class CursorCache:
    """Remembers, by id, the `created_before` that shows what follows an entry."""

    def __init__(self, places_max: int = PLACES_MAX) -> None:
        self._places_max = places_max
        self._before: dict[str, int] = {}
        self._next: dict[str, str] = {}

    def seen(self, provider_job_id: str, created_at: object) -> None:
        """Take in an entry of which nothing but its own moment is known."""
        if provider_job_id not in self._before:
            self._put(provider_job_id, _moment(created_at), None)

    def seen_page(self, entries: Iterable[tuple[str, object]], following: str | None) -> None:
        """Take in a page: ids with their `created_at`, and the query of the page behind it."""
        last: tuple[str, tuple[int, int] | None] | None = None
        for provider_job_id, created_at in entries:
            moment = _moment(created_at)
            if last is not None:
                self._put(*last, moment)
            last = provider_job_id, moment
        if last is not None:
            self._put(*last, None)
            if following is not None:
                self._next[last[0]] = following
                if len(self._next) > self._places_max:
                    del self._next[next(iter(self._next))]

    def next_of(self, provider_job_id: str) -> str | None:
        """Return the query of the page that was said to follow, where the entry ended one."""
        return self._next.get(provider_job_id)

    def forget_next(self, provider_job_id: str) -> None:
        """Do without the query: it was refused."""
        self._next.pop(provider_job_id, None)

    def before(self, provider_job_id: str) -> str | None:
        """Return the `created_before` behind the entry; None: its moment is not known."""
        microseconds = self._before.get(provider_job_id)
        if microseconds is None:
            return None
        moment = _EPOCH + microseconds * _MICROSECOND
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _put(
        self,
        provider_job_id: str,
        moment: tuple[int, int] | None,
        follower: tuple[int, int] | None,
    ) -> None:
        self._next.pop(provider_job_id, None)
        if moment is None:
            return
        at, exactness = moment
        alone = follower is not None and follower[0] < at
        before = at if alone else at + exactness
        known = self._before.pop(provider_job_id, before)
        # Once its follower was seen to be older, that stays true.
        self._before[provider_job_id] = min(known, before) if known >= at else before
        if len(self._before) > self._places_max:
            oldest = next(iter(self._before))
            del self._before[oldest]
            self._next.pop(oldest, None)


def _moment(created_at: object) -> tuple[int, int] | None:
    """Return a moment in microseconds since the epoch, and how exactly it is told."""
    if not isinstance(created_at, str) or not (shape := _MOMENT.fullmatch(created_at)):
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
