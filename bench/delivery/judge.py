"""What must hold of a run besides its latencies: every event arrived once, verified, in order."""

from collections.abc import Mapping, Sequence

from bench.checks import Arrival, check_order, check_signatures, first_arrivals
from bench.delivery.ceiling import Ceiling
from bench.delivery.latency import Spread, ratio
from bench.figures import Figures
from bench.stage import Stage, Work

FED_MIN = 0.99
"""Below this share of the planned changes the rate was not what the scenario says."""


def judge_spread(
    figures: Figures,
    spread: Spread,
    p95: float,
    p99: float | None = None,
    *,
    name: str = "commit to received",
) -> None:
    """Judge milliseconds against goals; the first spread of a scenario goes into its JSON."""
    figures.tell(f"{name}, p50 / p95 / p99 / worst", f"{spread} ms")
    figures.at_most(f"{name}, p95", spread.p95, p95, " ms")
    if p99 is not None:
        figures.at_most(f"{name}, p99", spread.p99, p99, " ms")
    if "p95_ms" not in figures.values:
        spread.keep(figures, "")
        figures.values["goal_p95_ms"] = p95


def judge_arrivals(
    figures: Figures, recorded: Mapping[str, Mapping[str, object]], arrivals: Sequence[Arrival]
) -> None:
    """Compare what the server recorded with what the receivers took in."""
    arrived = {one["headers"]["webhook-id"]: one["event"] for one in first_arrivals(arrivals)}
    figures.none("recorded events that never arrived", sorted(set(recorded) - set(arrived)))
    figures.none("arrivals of events never recorded", sorted(set(arrived) - set(recorded)))
    other = [one for one in arrived if one in recorded and arrived[one] != recorded[one]]
    figures.none("bodies that are not the recorded event", other)
    figures.equal("arrivals", len(arrivals), len(recorded))
    check_signatures(figures, arrivals)
    check_order(figures, arrivals)


def judge_feed(figures: Figures, recorded: int, planned: int, seconds: float) -> None:
    """The planned rate must have been reached: changes that one reading took together are none."""
    figures.tell("events planned, recorded", f"{planned}, {recorded}")
    figures.at_least("share of the planned changes", recorded / planned, FED_MIN)
    figures.tell("events a second", f"{recorded / seconds:.1f}")
    figures.values |= {"events": recorded, "events_per_second": round(recorded / seconds, 2)}


def tell_ceiling(figures: Figures, spread: Spread, bare: Ceiling) -> None:
    """Tell the same requests by the bare client, and the ratio to it.

    The first of a scenario goes into its JSON.
    """
    reference = Spread.of(bare.latencies)
    figures.tell("bare client p50 / p95 / p99 / worst", f"{reference} ms")
    figures.equal("bare client's failures", bare.failed, 0)
    times = ratio(spread.p95, reference.p95)
    figures.tell("p95 over the bare client's", f"{times:.2f}x")
    if "p95_over_bare" not in figures.values:
        reference.keep(figures, "bare_")
        figures.values["p95_over_bare"] = round(times, 3)


def tell_cpu(figures: Figures, server: float, watching: float, bare: Ceiling) -> None:
    """Tell CPU seconds a delivery, those of watching alone taken off, beside the bare client's."""
    count = max(1, len(bare.latencies))
    costs = [seconds / count * 1000 for seconds in (server, server - watching, bare.cpu_seconds)]
    shown = ", ".join(f"{one:.2f}" for one in costs)
    figures.tell("CPU a delivery: server, less watching, bare", f"{shown} ms")
    times = ratio(costs[1], costs[2])
    figures.tell("CPU less watching over the bare client's", f"{times:.1f}x")
    names = ("server_cpu_ms", "delivering_cpu_ms", "bare_cpu_ms")
    figures.values |= {name: round(one, 4) for name, one in zip(names, costs, strict=True)}
    figures.values["cpu_over_bare"] = round(times, 3)


def tell_load(figures: Figures, here: Stage, work: Work, seconds: float) -> None:
    """Tell how busy the machine was and with whom, in cores; and the server's memory."""
    cores = [share / seconds for share in (work.server, work.bench, work.others)]
    shown = ", ".join(f"{one:.2f}" for one in cores)
    figures.tell("cores: server, bench, others", shown)
    figures.tell("server memory", f"{here.server.rss_mib():.0f} MiB")
    figures.values |= {
        "server_cores": round(cores[0], 3),
        "bench_cores": round(cores[1], 3),
        "other_cores": round(cores[2], 3),
        "rss_mib": round(here.server.rss_mib(), 1),
    }
