"""The measure of delivering: its plans, its arithmetic, its receivers, and one small run."""

import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bench.delivery.ceiling import posts
from bench.delivery.feed import plan_for
from bench.delivery.judge import judge_arrivals, judge_feed
from bench.delivery.latency import Spread, burst, latencies, ratio
from bench.delivery.rates import Rate, run_rate
from bench.delivery.sink import Connection, Sink
from bench.delivery.summary import table
from bench.figures import Figures, quantile
from bench.upstream_videos import Steps, Videos

ROOT = Path(__file__).parents[2]


def arrival(number: int, *, committed: float, at: float, job: str = "job") -> dict[str, Any]:
    stamp = datetime.fromtimestamp(committed, UTC).isoformat(timespec="milliseconds")
    event = {"jobId": job, "sequence": number, "timestamp": stamp, "status": "processing"}
    return {
        "t": at,
        "first": at - 0.001,
        "clock": at,
        "port": 1,
        "path": "/hook",
        "headers": {"webhook-id": f"evt_{job}_{number}"},
        "body": json.dumps(event),
        "event": event,
        "plain_ok": True,
        "standard_ok": True,
    }


def test_a_quantile_is_the_nearest_rank() -> None:
    values = [float(one) for one in range(1, 101)]
    assert [quantile(values, share) for share in (0.5, 0.95, 0.99, 1)] == [50, 95, 99, 100]
    assert Spread.of(values) == Spread(50, 95, 99, 100)
    assert math.isnan(quantile([], 0.5))


def test_a_ratio_without_a_reference_is_no_number() -> None:
    assert ratio(30, 20) == 1.5
    assert math.isnan(ratio(30, 0))
    assert math.isnan(ratio(30, math.nan))


def test_a_plan_makes_the_rate_with_as_few_jobs_as_it_takes() -> None:
    videos, plan = plan_for(500, seconds=60, every=1.0)
    assert (videos, plan.count, plan.seconds, plan.events(videos)) == (500, 60, 60, 30_000)
    videos, plan = plan_for(1000, seconds=30, every=0.5)
    assert (videos, plan.count, plan.events(videos)) == (500, 60, 30_000)
    with pytest.raises(ValueError, match="99 changes, not 120"):
        plan_for(500, seconds=120, every=1.0)


def test_a_planned_video_moves_step_by_step_and_ends_with_the_last() -> None:
    steps = Steps(start=10.0, every=2.0, count=3, base=5, ends=True)
    assert [steps.percent(moment) for moment in (9.9, 10, 11.9, 12, 99)] == [5, 6, 6, 7, 8]
    assert [steps.ended(moment) for moment in (13.9, 14)] == [False, True]


def test_plans_of_the_same_videos_follow_on_each_other_and_spread_the_changes() -> None:
    videos = Videos()
    ids = videos.make(4, ended=False)
    for start, ends in ((100.0, False), (200.0, True)):
        videos.plan(ids, start=start, every=1.0, count=2, ends=ends, seed=1)
        steps = [one.steps for one in videos.in_order if one.steps]
        assert sorted(one.start for one in steps) == [start + share / 4 for share in range(4)]
    shown = [videos.show(videos.by_id[ids[0]], moment) for moment in (199.0, 200.8, 202.0)]
    assert [one["progress"] for one in shown] == [2, 3, 100]
    assert [one["status"] for one in shown] == ["in_progress", "in_progress", "completed"]


def test_a_latency_counts_from_the_commit_to_the_first_arrival_of_an_event() -> None:
    once = arrival(1, committed=1000.0, at=1000.02)
    again = arrival(1, committed=1000.0, at=1009.0)
    assert latencies([again, once]) == pytest.approx([20.0], abs=0.01)
    assert latencies([once], "first") == pytest.approx([19.0], abs=0.01)


def test_the_largest_burst_is_found_wherever_it_lies() -> None:
    commits = (1.0, 1.09, 1.11, 1.12, 1.185, 1.3)
    arrivals = [arrival(n, committed=1e9 + one, at=2e9) for n, one in enumerate(commits)]
    assert burst(arrivals, 0.1) == 4
    assert burst([], 0.1) == 0


def test_the_bare_client_sends_the_same_at_the_same_pace() -> None:
    late = arrival(2, committed=1000.5, at=1000.6)
    early = arrival(1, committed=1000.0, at=1000.9)
    planned = posts([late, early])
    assert [one[0] for one in planned] == pytest.approx([0, 0.5])
    assert planned[0][1:] == ("http://127.0.0.1:1/hook", "evt_job_1", early["body"])


def test_what_is_lost_repeated_or_strange_is_a_missed_figure() -> None:
    arrivals = [arrival(number, committed=1000.0, at=1000.1) for number in (1, 2)]
    recorded = {one["headers"]["webhook-id"]: one["event"] for one in arrivals}

    def missed(recorded: dict[str, dict[str, object]], arrivals: list[dict[str, Any]]) -> set[str]:
        figures = Figures("judged")
        # The library's verdict is on real signatures: see the run below.
        judge_arrivals(figures, recorded, arrivals)
        names = {one.name for one in figures.figures if one.reached is False}
        return names - {"refused by standardwebhooks"}

    assert missed(recorded, arrivals) == set()
    assert missed(recorded, arrivals[:1]) == {"recorded events that never arrived", "arrivals"}
    assert missed(recorded, [*arrivals, arrivals[0]]) == {"arrivals"}
    changed = {**recorded, "evt_job_1": {"jobId": "job"}}
    assert missed(changed, arrivals) == {"bodies that are not the recorded event"}


def test_a_rate_that_was_not_fed_is_a_missed_figure() -> None:
    figures = Figures("fed")
    judge_feed(figures, recorded=980, planned=1000, seconds=10)
    assert not figures.reached


def test_the_table_has_a_line_for_each_scenario() -> None:
    figures = Figures("some", values={"p95_ms": 12.34, "goal_p95_ms": 100})
    heading, line = table([figures]).splitlines()
    assert len(heading) >= len(line.rstrip()) - len("MISSED")
    assert line.split() == ["some", "12.3", "100", "ok"]


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def get_extra_info(self, name: str) -> tuple[str, int]:
        assert name == "sockname"
        return "127.0.0.1", 8000

    def write(self, data: bytes) -> None:
        self.written.append(data)


def test_a_sink_answers_each_request_however_its_bytes_come_unless_it_hangs() -> None:
    sink, wire = Sink(b"secret"), Wire()
    connection = Connection(sink)
    connection.connection_made(wire)  # type: ignore[arg-type]  # as far as the sink uses one
    request = b"POST /hook HTTP/1.1\r\nHost: x\r\ncontent-length: 4\r\n\r\nbody"
    for start in range(0, len(request), 7):
        connection.data_received(request[start : start + 7])
    connection.data_received(request)
    assert [(one.port, one.body) for one in sink.arrivals] == [(8000, b"body")] * 2
    assert len(wire.written) == 2
    assert sink.arrivals[0].first <= sink.arrivals[0].complete
    sink.hung = {8000}
    connection.data_received(request)
    assert (len(sink.arrivals), len(wire.written)) == (3, 2)
    assert sink.arrivals[0].shown(b"secret")["path"] == "/hook"


def test_an_unknown_scenario_is_refused() -> None:
    command = [sys.executable, "-m", "bench.delivery", "nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such scenario: nonsense" in done.stderr


@pytest.mark.long
async def test_a_small_run_loses_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.stage.RESULTS", tmp_path)
    for seconds in ("SETTLE_SECONDS", "WATCH_SECONDS"):
        monkeypatch.setattr(f"bench.delivery.phase.{seconds}", 0.2)
    monkeypatch.setattr("bench.delivery.phase.durable_writes", lambda _: [0.001])
    rate = Rate("small", 20, 1.0, p95=60_000, every=0.5, poll=0.05, endpoints=3)
    figures = await run_rate(rate)
    judged = {one.name: one.measured for one in figures.figures if one.reached is False}
    # A machine that is busy may let one reading take two changes together.
    assert set(judged) <= {"share of the planned changes"}
    assert figures.values["events"] >= 10
    assert figures.values["p95_over_bare"] > 0
