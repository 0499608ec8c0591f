"""Grouping: what one cause holds up becomes one row, and the most harmful row comes first."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby, islice

from reelhook.domain.causes.cause import COUNTED_MAX, EXAMPLES_MAX, Cause, CauseName, HeldUp, Thing
from reelhook.domain.event import Instant

ROWS_MAX = 20
"""The most rows of one cause: those that began first."""


class Grouping:
    """Collects causes; those with the same name that are about the same become one."""

    def __init__(self) -> None:
        self._rows: dict[tuple[CauseName, str | None], HeldUp] = {}

    def add(
        self,
        cause: Cause,
        things: Thing = Thing.JOBS,
        count: int | None = 1,
        *,
        more: bool = False,
    ) -> None:
        """Add a cause that holds up `count` things; with `more`, at least so many."""
        key = (cause.name, cause.about)
        examples = () if cause.job_id is None else (cause.job_id,)
        known = self._rows.get(key)
        if known is None:
            self._rows[key] = HeldUp(cause, things, count, more, examples)
            return
        total = _sum(known.count, count)
        capped = total is not None and total > COUNTED_MAX
        self._rows[key] = HeldUp(
            _merged(known.cause, cause),
            known.things,
            COUNTED_MAX if capped else total,
            known.more or more or capped,
            tuple(dict.fromkeys((*known.job_ids, *examples)))[:EXAMPLES_MAX],
        )

    def name(self, cause: Cause, job_ids: Iterable[str]) -> None:
        """Name jobs that a cause holds up which was added before."""
        key = (cause.name, cause.about)
        row = self._rows[key]
        named = dict.fromkeys((*row.job_ids, *islice(job_ids, EXAMPLES_MAX)))
        self._rows[key] = replace(row, job_ids=tuple(named)[:EXAMPLES_MAX])

    def rows(self) -> tuple[HeldUp, ...]:
        """Return the rows, the most harmful first, then the one that began first."""
        rows = sorted(self._rows.values(), key=_order)
        of_causes = groupby(rows, key=lambda row: row.cause.name)
        return tuple(row for _, group in of_causes for row in islice(group, ROWS_MAX))


def _order(row: HeldUp) -> tuple[int, bool, Instant, str]:
    cause = row.cause
    return cause.name.rank, cause.since is None, cause.since or 0, cause.about or ""


def _merged(one: Cause, other: Cause) -> Cause:
    """Return one cause for two jobs: since the first of them, with the next thing to happen."""
    first = one if _earliest(one.since, other.since) == one.since else other
    same = one.job_id == other.job_id
    return replace(
        first,
        next_at=_earliest(one.next_at, other.next_at),
        job_id=one.job_id if same else None,
    )


def _earliest(one: Instant | None, other: Instant | None) -> Instant | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)
