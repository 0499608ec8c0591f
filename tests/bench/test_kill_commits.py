"""A share of `make bench-kill` with lost responses to COMMIT."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ON_POSTGRES = ("--database", "postgresql", "--life", "7", "--settle", "7")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", [(), ON_POSTGRES], ids=["sqlite", "postgresql"])
def test_lost_responses_to_commit_and_kills_lose_nothing_and_create_nothing_twice(
    tmp_path: Path, database: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "bench.kill", "--kills", "3", "--commits", "0.05", *database]
    environment = {**os.environ, "BENCH_RESULTS": str(tmp_path)}
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=False)
    (result,) = tmp_path.glob("kill-commits-*.json")
    content: dict[str, Any] = json.loads(result.read_text())
    assert [one for one in content["figures"] if one["reached"] is False] == []
