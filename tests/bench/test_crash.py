"""A share of `make crash`; and that its checks can fail, which is what makes them worth having."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench.crash.evidence import Arrival, Facts, Remains, StoredEvent, Where
from bench.crash.plan import Failpoint, plan
from bench.crash.verdict import Evidence, Verdict, judge
from bench.crash.workload import EVENTS, Workload

ROOT = Path(__file__).parents[2]
WORK = Workload("test", "http://127.0.0.1:1/test")
JOB = WORK.job_ids[0]
HOOK: Where = ("/test/hook/0", JOB)


def crash(results: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "bench.crash", "--results", str(results), *arguments]
    code = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode
    content: dict[str, Any] = json.loads((results / "crash.json").read_text())
    return code, content


@pytest.mark.long
def test_kills_at_every_failpoint_lose_nothing_and_repeat_only_what_was_in_flight(
    tmp_path: Path,
) -> None:
    runs = 4 * len(Failpoint)
    code, content = crash(tmp_path, "--runs", str(runs))
    assert content["failed"] == []
    assert code == 0
    every = content["failpoints"].pop("all")
    assert every["kills"] >= runs
    assert all(row["kills"] > 0 for row in content["failpoints"].values())
    assert 0 < every["duplicates"] <= every["in flight"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "runs", "words"),
    [
        ("early-record", "2", "lost at"),
        ("early-ack", "3", "told to be durable, and gone"),
        ("new-id", "1", "no event has this id"),
        ("new-body", "1", "stored b"),
        ("twice", "1", "twice from worker 1"),
    ],
)
def test_a_worker_with_a_known_fault_is_caught(
    tmp_path: Path, fault: str, runs: str, words: str
) -> None:
    code, content = crash(tmp_path, "--fault", fault, "--runs", runs, "--failpoint", "after-commit")
    assert code == 1
    assert any(words in one for run in content["failed"] for one in run["violations"])


def test_a_seed_always_plans_the_same_kills_the_first_at_its_failpoint() -> None:
    for point in Failpoint:
        plans = [plan(seed, point) for seed in range(20)]
        assert plans == [plan(seed, point) for seed in range(20)]
        assert {one.kills[0].point for one in plans} == {point}


# -- the checks, one by one ------------------------------------------------------------------------


def body(job: str, sequence: int) -> bytes:
    return f"{job} {sequence}".encode()


def stored() -> Mapping[str, StoredEvent]:
    events = {}
    for job in WORK.job_ids:
        for sequence in range(1, EVENTS + 1):
            last = sequence == EVENTS
            ending = "completed" if WORK.ends_well(job) else "failed"
            events[f"evt_{job}_{sequence}"] = StoredEvent(
                job,
                sequence,
                "terminal" if last else "progress",
                ending if last else "processing",
                body(job, sequence),
            )
    return events


def arrival(sequence: int, where: Where = HOOK, *, life: int = 1) -> Arrival:
    event_id = f"evt_{where[1]}_{sequence}"
    return Arrival(
        life, where, event_id, sequence, body(where[1], sequence), accepted=True, signed=True
    )


def places(job: str) -> list[Where]:
    return [(f"/test/hook/{WORK.job_ids.index(job) % 3}", job), ("/test/all", job)]


EVENTS_STORED = stored()
ARRIVALS = [
    arrival(sequence, where)
    for job in WORK.job_ids
    for where in places(job)
    for sequence in range(1, EVENTS + 1)
]
FACTS = Facts(
    damage=[],
    jobs={job: "completed" if WORK.ends_well(job) else "failed" for job in WORK.job_ids},
    events=EVENTS_STORED,
    recorded=[(one.where, one.event_id) for one in ARRIVALS],
    undelivered=frozenset(),
    waiting=0,
    resends_unfinished=0,
    not_resent=0,
    resent_often=[],
)
SOUND = Evidence(WORK, resending=False, arrivals=ARRIVALS, facts=FACTS, remains={})


def again(*sequences: int, recorded: frozenset[tuple[Where, str]] = frozenset()) -> Verdict:
    """Judge a run whose first worker was killed, and whose second sent some of a job again."""
    others = [one for one in ARRIVALS if one.where != HOOK]
    first = [arrival(sequence) for sequence in range(1, max(sequences) + 1)]
    repeated = [arrival(sequence, life=2) for sequence in sequences]
    rest = [arrival(sequence, life=2) for sequence in range(max(sequences) + 1, EVENTS + 1)]
    known = recorded | {(one.where, one.event_id) for one in first[: min(sequences) - 1]}
    remains = {1: Remains(known, frozenset(EVENTS_STORED), frozenset())}
    return judge(replace(SOUND, arrivals=[*others, *first, *repeated, *rest], remains=remains))


def without(where: Where, sequence: int) -> Evidence:
    """A run in which an event neither arrived at a place nor is recorded to have."""
    left = [one for one in ARRIVALS if (one.where, one.sequence) != (where, sequence)]
    recorded = [(one.where, one.event_id) for one in left]
    return replace(SOUND, arrivals=left, facts=replace(FACTS, recorded=recorded))


def test_a_run_without_trouble_passes() -> None:
    assert judge(SOUND) == Verdict()


def test_what_was_in_flight_at_a_kill_may_arrive_twice() -> None:
    verdict = again(3)
    assert verdict.violations == []
    assert (verdict.duplicates, verdict.worst) == (1, 1)


def test_what_was_recorded_must_not_arrive_twice() -> None:
    assert "though recorded" in again(3, recorded=frozenset({(HOOK, f"evt_{JOB}_3")})).violations[0]


def test_a_kill_must_not_cost_two_duplicates_of_one_delivery() -> None:
    verdict = again(2, 3)
    assert verdict.worst == 2
    assert any("2 duplicates of the one delivery" in one for one in verdict.violations)


def test_a_sequence_that_falls_is_a_violation() -> None:
    turned = sorted(ARRIVALS, key=lambda one: -one.sequence)
    assert any(
        "arrived as [6, 5" in one for one in judge(replace(SOUND, arrivals=turned)).violations
    )


def test_an_event_that_never_arrived_is_lost_unless_it_is_on_record_as_superseded() -> None:
    missing = without(HOOK, 3)
    assert judge(missing).lost == 1
    facts = replace(missing.facts, undelivered=frozenset({(HOOK, 3)}))
    assert judge(replace(missing, facts=facts)) == Verdict()


def test_the_end_of_a_job_is_never_excused() -> None:
    missing = without(HOOK, EVENTS)
    facts = replace(missing.facts, undelivered=frozenset({(HOOK, EVENTS)}))
    assert judge(replace(missing, facts=facts)).lost == 1


def test_an_arrival_that_only_the_database_knows_of_is_a_violation() -> None:
    missing = without(HOOK, 3)
    facts = replace(FACTS, undelivered=frozenset({(HOOK, 3)}))
    verdict = judge(replace(missing, facts=facts))
    assert any("where it is not known" in one for one in verdict.violations)
