"""Inside another program reelhook says nothing on its own account."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

HOST = Path(__file__).parent / "quiet_host.py"


def run(tmp_path: Path, *arguments: str) -> tuple[list[str], list[str]]:
    """Return the lines on stdout and stderr."""
    done = subprocess.run(
        [sys.executable, str(HOST), str(tmp_path / "data"), *arguments],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "hunter2" not in done.stdout + done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_a_host_without_a_thought_of_logs_sees_its_own_lines_and_warnings(tmp_path: Path) -> None:
    out, err = run(tmp_path)
    assert len(out) == 1
    assert "the host's own line" in out[0]
    assert "[info" in out[0]  # as structlog writes it where nobody configured it
    assert len(err) == 1
    assert err[0].startswith("REELHOOK_SUBMIT_SETTLE_SECONDS is below")
    assert err[0].endswith("settle_seconds=1.0 timeout_seconds=2.0")


def test_a_host_that_logs_by_the_standard_library_gets_the_lines_there(tmp_path: Path) -> None:
    out, err = run(tmp_path, "logging")
    assert err == []
    assert "reelhook.bootstrap.working Starting Sora API polling service..." in out
    assert "reelhook.mine 50 % done" in out
    assert any("the host's own line" in line for line in out)


def test_a_host_that_configured_structlog_gets_the_lines_there(tmp_path: Path) -> None:
    out, err = run(tmp_path, "structlog")
    assert err == []
    events = [json.loads(line)["event"] for line in out]
    assert "Starting Sora API polling service..." in events
    assert "the host's own line" in events
