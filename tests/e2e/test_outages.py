"""A small share of `make bench-away`: PostgreSQL stopped, restarted, frozen, replaced, full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench.clusters import may_mount

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]


def run(scenario: str, folder: Path, seconds: str) -> None:
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "bench.away", scenario),
            *("--seconds", seconds, "--calm", "2", "--patience", "3"),
        ],
        cwd=ROOT,
        env={**os.environ, "BENCH_RESULTS": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("scenario", "seconds"),
    [
        pytest.param("away", "4", id="it-is-stopped-for-a-while"),
        pytest.param("restart", "0", id="it-is-restarted"),
        pytest.param("hang", "4", id="it-does-not-answer"),
        pytest.param("failover", "2", id="it-is-killed-and-its-standby-takes-over"),
    ],
)
def test_nothing_is_lost_or_done_twice_when_the_database(
    scenario: str, seconds: str, tmp_path: Path
) -> None:
    run(scenario, tmp_path, seconds)


@pytest.mark.skipif(not may_mount(), reason="this machine mounts no small disk for us")
def test_what_a_full_disk_can_not_keep_is_refused(tmp_path: Path) -> None:
    run("full", tmp_path, "3")
