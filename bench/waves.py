"""Waves of jobs that all end at one moment, commanded at a chosen phase of the poll."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from bench.checks import Arrival, check_endings, check_order, check_signatures, terminal
from bench.figures import Figures, quantile
from bench.rounds import periods, read_moments, reads_in_any_window, rounds
from bench.stage import Request, Stage, Work, stage, until

POLL_SECONDS = 5.0
STEADY_ROUNDS = 2
PHASES = (0.05, 2.5, 4.7)
"""Seconds after a round's first read at which all jobs end; the first is the worst case."""
SILENCE_SECONDS = 6.5
"""Watched after the last webhook: nothing more may come, and nothing more be read."""


@dataclass(frozen=True, slots=True)
class Wave:
    """What a scenario asks for; `reads_max` None: reads are only told."""

    name: str
    count: int
    seconds_max: float
    reads_max: int | None
    listing: str = "ok"
    silent: int | None = None
    phases: tuple[float, ...] = PHASES
    progress_seconds: float = 4.0
    """Every job's progress moves once in this many seconds, so each round has webhooks to send."""


@dataclass(slots=True)
class Run:
    """One wave as it happened."""

    requests: list[Request]
    steady_from: float = 0.0
    finished_at: float = 0.0
    ended_at: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)
    arrivals: list[dict[str, Any]] = field(default_factory=list)
    work: Work = field(default_factory=lambda: Work(0, 0, 0))
    """From the end of the jobs until a second after the last webhook must have come."""


async def run_waves(wave: Wave) -> Figures:
    figures = Figures(wave.name)
    async with stage(wave.name, {"REELHOOK_POLL_SECONDS": f"{POLL_SECONDS:g}"}) as here:
        await here.set_upstream(listing=wave.listing, progress_seconds=wave.progress_seconds)
        if wave.silent is not None:
            await here.set_rules({f"/hook/{wave.silent}": {"silent": True}})
        await here.server.start()
        for phase in wave.phases:
            run = await _run(here, wave, phase)
            label = f"[end {phase:g} s after a read]"
            _judge(figures, wave, run, label)
            _tell_burst(figures, run, label, _silent(wave))
        figures.tell("server memory at the end", f"{here.server.rss_mib():.0f} MiB")
        arrivals = await here.arrivals()
        check_signatures(figures, arrivals)
        check_order(figures, arrivals)
    return figures


async def _run(here: Stage, wave: Wave, phase: float) -> Run:
    log_from = (await here.upstream_state(2**31))["next"]
    arrivals_from = len(await here.arrivals())
    run = Run([here.request(n, f"{wave.name} {phase} {n}") for n in range(wave.count)])
    await here.submit_all(run.requests)
    created = await until(lambda: _created(here, log_from, wave.count), seconds=30)
    if not created:
        raise RuntimeError("not every job was created at the upstream within 30 s")
    await asyncio.sleep(POLL_SECONDS + 1)
    run.steady_from = time.monotonic()
    await asyncio.sleep(STEADY_ROUNDS * POLL_SECONDS)
    await here.post(f"{here.upstream.url}/control/finish", {"after_read_seconds": phase})
    await until(lambda: _finished(here), seconds=2 * POLL_SECONDS + phase, every=0.02)
    run.finished_at = (await here.upstream_state(2**31))["finished_at"] or time.monotonic()
    wanted = wave.count - (wave.silent is not None)
    ear = here.ear(arrivals_from, deaf_to=_silent(wave))
    # No look at the receivers before all must be there: looking costs them time.
    before = here.work()
    await asyncio.sleep(wave.seconds_max + 1)
    run.work = here.work().since(before)
    await ear.ended(wanted, seconds=20)
    run.ended_at = time.monotonic()
    await asyncio.sleep(SILENCE_SECONDS)
    run.log = (await here.upstream_state(log_from))["log"]
    run.arrivals = await here.arrivals(arrivals_from)
    return run


async def _created(here: Stage, log_from: int, count: int) -> bool:
    state = await here.upstream_state(log_from)
    return sum(1 for one in state["log"] if one["kind"] == "create") >= count


async def _finished(here: Stage) -> bool:
    return (await here.upstream_state(2**31))["finished_at"] is not None


def _goes_to(request: Request, path: str | None) -> bool:
    return path is not None and request.webhook_url.endswith(path)


def _silent(wave: Wave) -> str | None:
    return None if wave.silent is None else f"/hook/{wave.silent}"


def _judge(figures: Figures, wave: Wave, run: Run, label: str) -> None:
    silent = _silent(wave)
    heard = [one for one in run.arrivals if one["path"] != silent]
    endings = terminal(heard)
    wanted = wave.count - (silent is not None)
    figures.equal(f"{label} terminal webhooks", len(endings), wanted)
    figures.equal(
        f"{label} of them completed",
        sum(1 for one in endings if one["event"]["status"] == "completed"),
        wanted,
    )
    delays = [one["t"] - run.finished_at for one in endings]
    figures.tell(f"{label} median after the end", f"{quantile(delays, 0.5):.3f} s")
    figures.at_most(f"{label} worst after the end", quantile(delays, 1), wave.seconds_max, " s")
    _judge_reads(figures, wave, run, label)
    loud = [one.job_id for one in run.requests if not _goes_to(one, silent)]
    check_endings(figures, heard, [str(one) for one in loud], f"{label} ")
    if silent is not None:
        _tell_silent(figures, run, silent, label)


def _tell_burst(figures: Figures, run: Run, label: str, silent: str | None) -> None:
    """Tell where the time went from the round that found the end, and who took the CPU."""
    reads = read_moments(run.log, run.finished_at, run.ended_at)
    heard = sorted(one["t"] for one in terminal(run.arrivals) if one["path"] != silent)
    if reads and heard:
        last_read = max(one for one in reads if one - reads[0] < POLL_SECONDS / 2)
        moments = (last_read, heard[0], heard[-1])
        shown = ", ".join(f"{moment - reads[0]:.2f}" for moment in moments)
        figures.tell(f"{label} from its read to last read, first, last webhook", f"{shown} s")
    shown = f"{run.work.server:.2f}, {run.work.bench:.2f}, {run.work.others:.2f} s"
    figures.tell(f"{label} CPU then: server, bench, others", shown)


def _tell_silent(figures: Figures, run: Run, silent: str, label: str) -> None:
    # The receiver still hears of earlier waves: only this wave's job counts.
    job = next(str(one.job_id) for one in run.requests if _goes_to(one, silent))
    of_silent: list[Arrival] = [one for one in run.arrivals if one["event"]["jobId"] == job]
    last = [one["t"] - run.finished_at for one in terminal(of_silent)]
    figures.tell(f"{label} attempts at the silent receiver", len(of_silent))
    when = f"{last[0]:.2f} s after the end" if last else "never"
    figures.tell(f"{label} its first terminal attempt", when)


def _judge_reads(figures: Figures, wave: Wave, run: Run, label: str) -> None:
    moments = read_moments(run.log, run.steady_from, run.ended_at)
    found = rounds(moments, POLL_SECONDS)
    sizes = [len(one) for one in found]
    windowed = reads_in_any_window(moments, POLL_SECONDS)
    gaps = periods(found)
    figures.tell(f"{label} reads by round", " ".join(map(str, sizes[:8])))
    if gaps:
        figures.tell(f"{label} seconds between rounds", f"{min(gaps):.2f} .. {max(gaps):.2f}")
    if wave.reads_max is not None:
        figures.at_most(f"{label} reads in a round", max(sizes, default=0), wave.reads_max)
        figures.at_most(f"{label} reads in any 4.5 s", windowed, wave.reads_max)
    late = read_moments(run.log, run.ended_at + 0.5, run.ended_at + SILENCE_SECONDS)
    figures.none(f"{label} reads after all had ended", late)
