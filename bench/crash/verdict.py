"""What must hold after a run, whatever was killed when."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import urlsplit

from bench.crash.evidence import Arrival, Facts, Remains, Where
from bench.crash.workload import EVENTS, Workload


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run has left behind; `remains` by the number of the killed worker."""

    work: Workload
    resending: bool
    arrivals: Sequence[Arrival]
    facts: Facts
    remains: Mapping[int, Remains]


@dataclass(slots=True)
class Verdict:
    """`duplicates`: events that were accepted again. `worst`: by one delivery, of one kill."""

    violations: list[str] = field(default_factory=list)
    lost: int = 0
    duplicates: int = 0
    in_flight: int = 0
    worst: int = 0


def judge(evidence: Evidence) -> Verdict:
    """Check everything that was promised."""
    verdict = Verdict()
    verdict.violations += _jobs(evidence)
    verdict.violations += _content(evidence)
    lost = list(_lost(evidence))
    verdict.lost = len(lost)
    verdict.violations += lost
    if evidence.resending:
        verdict.violations += _resends(evidence)
    else:
        verdict.violations += _order(evidence)
    verdict.violations += _unsent(evidence)
    _count_duplicates(evidence, verdict)
    return verdict


def _jobs(evidence: Evidence) -> Iterator[str]:
    """Every job has ended as it should, with each event once; none was told too early."""
    facts, work = evidence.facts, evidence.work
    yield from (f"the database is damaged: {one}" for one in facts.damage)
    if set(facts.jobs) != set(work.job_ids):
        yield f"jobs in the database: {sorted(facts.jobs)}"
    for job in work.job_ids:
        ends = "completed" if work.ends_well(job) else "failed"
        events = [one for one in facts.events.values() if one.job == job]
        events.sort(key=lambda one: one.sequence)
        kinds = [one.kind for one in events]
        if facts.jobs.get(job) != ends or [one.status for one in events[-1:]] != [ends]:
            yield f"{job}: is {facts.jobs.get(job)}, should be {ends}"
        if [one.sequence for one in events] != list(range(1, EVENTS + 1)):
            yield f"{job}: sequences {[one.sequence for one in events]}"
        if kinds.count("terminal") != 1 or kinds[-1] != "terminal":
            yield f"{job}: events {kinds}"
    for life, remains in evidence.remains.items():
        for event_id in remains.told - remains.events:
            yield f"{event_id}: told to be durable, and gone with worker {life}"
    if facts.waiting:
        yield f"{facts.waiting} deliveries wait at the end"


def _content(evidence: Evidence) -> Iterator[str]:
    """What arrived is what was stored, byte for byte, under its one id, rightly signed."""
    for one in evidence.arrivals:
        stored = evidence.facts.events.get(one.event_id)
        if stored is None:
            yield f"{one.event_id}: arrived, and no event has this id"
        elif (stored.job, stored.sequence) != (one.where[1], one.sequence):
            yield f"{one.event_id}: arrived as {one.where[1]} #{one.sequence}"
        elif stored.body != one.body:
            yield f"{one.event_id}: stored {stored.body!r}, arrived {one.body!r}"
        if not one.signed:
            yield f"{one.event_id}: a signature is wrong"


def _lost(evidence: Evidence) -> Iterator[str]:
    """Each event was accepted, or its being superseded or given up is on record; ends arrived."""
    work, facts = evidence.work, evidence.facts
    accepted = {(one.where, one.event_id) for one in evidence.arrivals if one.accepted}
    for event_id, event in facts.events.items():
        if event.job not in work.job_ids:
            continue
        for url in (work.destination(event.job), work.broadcast):
            where = (urlsplit(url).path, event.job)
            excused = (
                event.kind != "terminal"
                and not evidence.resending
                and (where, event.sequence) in facts.undelivered
            )
            if not excused and (where, event_id) not in accepted:
                yield f"{event_id}: lost at {where[0]}"


def _order(evidence: Evidence) -> Iterator[str]:
    """`sequence` never falls within a delivery: not even where an event is sent again."""
    arrived: dict[Where, list[int]] = defaultdict(list)
    for one in evidence.arrivals:
        arrived[one.where].append(one.sequence)
    for where, sequences in arrived.items():
        if sequences != sorted(sequences):
            yield f"{where}: sequences arrived as {sequences}"


def _resends(evidence: Evidence) -> Iterator[str]:
    """All that had failed was sent anew by one delivery each."""
    facts = evidence.facts
    if facts.resends_unfinished:
        yield "sending anew came to no end"
    if facts.not_resent:
        yield f"{facts.not_resent} failed events were not sent anew"
    yield from (f"sent anew more than once: {one}" for one in facts.resent_often)


def _unsent(evidence: Evidence) -> Iterator[str]:
    """What is recorded as arrived has arrived, and is recorded once."""
    accepted = {(one.where, one.event_id) for one in evidence.arrivals if one.accepted}
    for (where, event_id), times in Counter(evidence.facts.recorded).items():
        if times > 1:
            yield f"{event_id}: recorded as arrived {times} times at {where[0]}"
        if (where, event_id) not in accepted:
            yield f"{event_id}: recorded as arrived at {where[0]}, where it is not known"


def _count_duplicates(evidence: Evidence, verdict: Verdict) -> None:
    """A kill may cost one more arrival per delivery: of the event that was in flight then.

    In flight was what the receivers had from the killed worker without a record of it.
    """
    lives: dict[tuple[Where, str], list[int]] = defaultdict(list)
    for one in evidence.arrivals:
        if one.accepted:
            lives[one.where, one.event_id].append(one.life)
    caused: Counter[tuple[int, Where, str]] = Counter()
    for (where, event_id), sent in lives.items():
        for life, remains in evidence.remains.items():
            verdict.in_flight += life in sent and (where, event_id) not in remains.recorded
        for before, after in pairwise(sent):
            verdict.duplicates += 1
            if before == after or before not in evidence.remains:
                verdict.violations.append(f"{event_id}: twice from worker {before} at {where[0]}")
                continue
            if (where, event_id) in evidence.remains[before].recorded:
                verdict.violations.append(f"{event_id}: sent again to {where[0]}, though recorded")
            # A resend is a delivery of its own, of one event.
            caused[before, where, event_id if evidence.resending else ""] += 1
    verdict.worst = max(caused.values(), default=0)
    for (life, where, _), times in caused.items():
        if times > 1:
            verdict.violations.append(
                f"{where}: {times} duplicates of the one delivery in flight at kill {life}"
            )
