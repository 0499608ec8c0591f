"""From commit to arrival: latencies, how they are told, and what must hold of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bench.checks import Arrival, first_arrivals
from bench.figures import Figures, quantile


def commit_of(arrival: Arrival) -> float:
    """Return the Unix seconds of the event's `timestamp`, taken just before its commit."""
    return datetime.fromisoformat(arrival["event"]["timestamp"]).timestamp()


def latencies(arrivals: Iterable[Arrival], moment: str = "clock") -> list[float]:
    """Return milliseconds from commit to each event's first arrival.

    `moment`: `clock`, the request's last byte, or `first`, its first one.
    """
    return [(one[moment] - commit_of(one)) * 1000 for one in first_arrivals(arrivals)]


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles, milliseconds."""

    p50: float
    p95: float
    p99: float
    worst: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(*(quantile(values, share) for share in (0.5, 0.95, 0.99, 1)))

    def __str__(self) -> str:
        return " / ".join(f"{one:.1f}" for one in (self.p50, self.p95, self.p99, self.worst))

    def keep(self, figures: Figures, prefix: str) -> None:
        """Write the numbers into the scenario's JSON."""
        for name in ("p50", "p95", "p99", "worst"):
            figures.values[f"{prefix}{name}_ms"] = round(getattr(self, name), 3)


def ratio(measured: float, reference: float) -> float:
    """Return how many times the reference that is; not a number without a reference."""
    return measured / reference if reference > 0 else float("nan")


def burst(arrivals: Iterable[Arrival], seconds: float) -> int:
    """Return the largest number of events that were committed within that time."""
    commits = sorted(commit_of(one) for one in first_arrivals(arrivals))
    largest, start = 0, 0
    for end, commit in enumerate(commits):
        while commit - commits[start] >= seconds:
            start += 1
        largest = max(largest, end - start + 1)
    return largest
