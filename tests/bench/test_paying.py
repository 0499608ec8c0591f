"""A share of `make bench-paying` and `make bench-reads`; and that the former can fail."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.paying.life import MODELS
from bench.reads import REQUESTS_MAX, measure

ROOT = Path(__file__).parents[2]


def paying(results: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "bench.paying", "--results", str(results), *arguments]
    code = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode
    content: dict[str, Any] = json.loads((results / "paying.json").read_text())
    return code, content


@pytest.mark.long
def test_creates_that_go_wrong_and_killed_workers_never_pay_twice(tmp_path: Path) -> None:
    code, content = paying(
        tmp_path, "--kills", "5", "--faults", "5", "--jobs", "4", "--database", "sqlite"
    )
    assert content["details"].get("violations") is None
    assert code == 0
    assert len(content["details"]["providers"]) == len(MODELS)


@pytest.mark.long
def test_workers_that_repeat_what_is_in_doubt_are_caught(tmp_path: Path) -> None:
    arguments = (
        "--careless",
        "--kills",
        "0",
        "--faults",
        "5",
        "--jobs",
        "10",
        "--database",
        "sqlite",
    )
    code, content = paying(tmp_path, *arguments)
    assert code == 1
    assert any("created 2 times for 1 jobs" in one for one in content["details"]["violations"])


@pytest.mark.long
async def test_a_round_takes_few_requests_where_a_provider_tells_of_many_jobs() -> None:
    figures = await measure(jobs=150)
    assert figures.reached
    assert len(figures.figures) == 2 * len(REQUESTS_MAX)
