"""A share of `make bench-budgets`; and that it can fail."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def budgets(results: Path, kind: str, *arguments: str) -> tuple[int, Any]:
    options = ("--results", str(results), "--database", kind, "--pairs", "0")
    command = [sys.executable, "-m", "bench.budgets", *options, *arguments]
    code = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode
    return code, json.loads((results / f"budgets-{kind}.json").read_text())


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_exactly_100_jobs_are_accepted_whoever_is_killed(tmp_path: Path, kind: str) -> None:
    code, content = budgets(tmp_path, kind, "--rounds", "4", "--kills", "4")
    assert content["details"] == {}
    assert code == 0


@pytest.mark.long
def test_workers_that_read_decide_and_write_are_caught(tmp_path: Path) -> None:
    code, content = budgets(tmp_path, "postgresql", "--rounds", "2", "--kills", "0", "--careless")
    assert code == 1
    assert content["details"]
