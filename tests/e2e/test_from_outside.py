"""A small share of `make bench`, `make bench-kill` and `make bench-workers`: facts, not figures."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param("faults-shared", id="every-job-ends-once-and-rightly-among-faults"),
        pytest.param("lost", id="a-lost-create-without-a-listing-ends-in-submission-unknown"),
    ],
)
def test_upstream(scenario: str) -> None:
    run("bench.main_job", scenario)


def test_kill_9_under_load_loses_nothing_and_pays_nothing_twice() -> None:
    run("bench.kill", "--kills", "4")


def test_of_two_workers_one_is_killed_and_one_stopped_and_nothing_is_lost_or_told_twice() -> None:
    kinds = ("--kills", "1", "--hand-overs", "1", "--freezes", "0")
    run("bench.workers", *kinds, "--every", "2.5", "--patience", "4")
