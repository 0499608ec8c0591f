"""Counting upstream reads a round.

A round is a burst of reads; bursts lie a poll interval apart. First checks, right after a job's
creation, are told apart by time: counting starts only a whole interval and a second after the
last create was answered, so every read counted belongs to the steady rhythm.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

READS = frozenset({"get", "list"})
GAP_SHARE = 0.2
"""A pause of this share of the poll interval separates two rounds."""
WINDOW_SHARE = 0.9
"""A window a little shorter than the interval holds one round, wherever it is laid."""


def read_moments(log: Iterable[Mapping[str, Any]], start: float, end: float) -> list[float]:
    """Return when the reads between two moments arrived, in order."""
    return sorted(one["t"] for one in log if one["kind"] in READS and start <= one["t"] < end)


def rounds(moments: Sequence[float], poll_seconds: float) -> list[list[float]]:
    """Split reads into rounds at every pause."""
    found: list[list[float]] = []
    for moment in moments:
        if found and moment - found[-1][-1] < GAP_SHARE * poll_seconds:
            found[-1].append(moment)
        else:
            found.append([moment])
    return found


def reads_in_any_window(moments: Sequence[float], poll_seconds: float) -> int:
    """Return the most reads in any window of nearly one interval: no gap is assumed."""
    length, most, first = WINDOW_SHARE * poll_seconds, 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= length:
            first += 1
        most = max(most, last - first + 1)
    return most


def periods(found: Sequence[Sequence[float]]) -> list[float]:
    """Return the seconds between the starts of neighbouring rounds."""
    return [after[0] - before[0] for before, after in pairwise(found)]
