"""Turns: the order in which the waiting jobs of an account's projects are created.

Start-time fair queueing: each job has a place, and the lowest is next. The places of a project's
jobs are one step apart, which is shorter the greater the project's weight. A project that had
nothing waiting continues at the place of the job that was taken last, so it neither saves up turns
nor waits for those who have many jobs. Among equal places, priority decides, then age.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice, takewhile
from typing import NamedTuple

from reelhook.domain.event import Instant

STEP = 1_000_000
"""The distance between two places of a project of weight 1."""


class QueueKey(NamedTuple):
    """The order of the waiting jobs of one project. `urgency` is the negative priority."""

    urgency: int
    created_at: Instant
    job_id: str


@dataclass(frozen=True, slots=True)
class Head:
    """The first waiting jobs of a project, in their order. `more`: others may follow them."""

    keys: Sequence[QueueKey]
    more: bool = False


def merged(heads: Sequence[Head]) -> Head:
    """Return the head of a project whose jobs wait at several accounts.

    It ends with the first of these heads that others may follow.
    """
    keys: Iterable[QueueKey] = merge(*(head.keys for head in heads))
    ends = [head.keys[-1] for head in heads if head.more]
    if ends:
        end = min(ends)
        keys = takewhile(lambda key: key <= end, keys)
    return Head(list(keys), bool(ends))


@dataclass(frozen=True, slots=True)
class Line:
    """A project at an account. `turn` is the place of its job that was taken last, if any."""

    project: str
    turn: int | None = None
    weight: int = 1

    @property
    def step(self) -> int:
        """The distance between two places."""
        return max(1, STEP // self.weight)


class Turns:
    """The turns of an account's projects. `latest` is the place of the job that was taken last."""

    def __init__(self, lines: Iterable[Line], latest: int) -> None:
        self._lines = {line.project: line for line in lines}
        self._latest = latest

    @property
    def projects(self) -> tuple[str, ...]:
        """The projects that have a line."""
        return tuple(self._lines)

    def place(self, project: str, number: int = 0) -> int:
        """Return the place of a project's waiting job; its first has the number 0."""
        line = self._lines[project]
        first = self._latest if line.turn is None else max(self._latest, line.turn + line.step)
        return first + number * line.step

    def take(self, project: str) -> int:
        """Take the project's first job. Return its place."""
        place = self.place(project)
        self._lines[project] = replace(self._lines[project], turn=place)
        self._latest = place
        return place

    def count_before(self, project: str, place: int) -> tuple[int, bool]:
        """Return how many of a project's jobs have a lower place, and if the next has this one."""
        distance = place - self.place(project)
        if distance < 0:
            return 0, False
        count, rest = divmod(distance, self._lines[project].step)
        return (count + 1, False) if rest else (count, True)

    def first(self, heads: Mapping[str, Head], limit: int) -> tuple[list[QueueKey], list[str]]:
        """Return the first jobs of these projects in turn, as far as the heads show.

        Also return the projects whose later jobs may belong among them. If there are none, the
        order is final.
        """
        placed = [self._placed(project, head.keys) for project, head in heads.items()]
        chosen = list(islice(merge(*placed), limit))
        last = chosen[-1][0] if len(chosen) == limit else None
        unclear = [
            project
            for project, head in heads.items()
            if head.more and (last is None or self.place(project, len(head.keys)) <= last)
        ]
        return [key for _, key in chosen], unclear

    def _placed(self, project: str, keys: Iterable[QueueKey]) -> Iterator[tuple[int, QueueKey]]:
        for number, key in enumerate(keys):
            yield self.place(project, number), key
