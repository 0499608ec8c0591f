"""A share of `make bench-restore`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.restore import Receiver

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_start_on_a_copy_drops_no_ending_and_creates_nothing_twice(
    tmp_path: Path, database: str
) -> None:
    command = [sys.executable, "-m", "bench.restore", "--rounds", "2", "--database", database]
    environment = {**os.environ, "BENCH_RESULTS": str(tmp_path)}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    (result,) = tmp_path.glob("restore-*.json")
    content: dict[str, Any] = json.loads(result.read_text())
    assert [one for one in content["figures"] if one["reached"] is False] == []


def arrival(webhook_id: str, sequence: int) -> dict[str, Any]:
    return {
        "headers": {"webhook-id": webhook_id},
        "body": f"{webhook_id} {sequence}",
        "event": {"jobId": "job", "sequence": sequence, "status": "completed"},
    }


def test_the_receiver_that_judges_drops_what_one_of_the_docs_drops() -> None:
    receiver = Receiver()
    assert receiver.take(arrival("evt_4", 4)) == (True, True)
    assert receiver.take(arrival("evt_4", 4)) == (False, False)
    assert receiver.take(arrival("evt_2", 2)) == (False, True)
    assert receiver.take(arrival("evt_4", 5)) == (True, False)
