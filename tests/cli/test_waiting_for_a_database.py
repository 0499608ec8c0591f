"""A start waits for PostgreSQL, says so now and then, and can be stopped meanwhile."""

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from bad_starts import SERVE, refused
from bench.clusters import cluster
from bench.processes import free_port
from cli_programs import COMMAND, WAIT_SECONDS, environment, start

pytestmark = pytest.mark.long

STOP_SECONDS = 8.0
WORDS = "The database is not up yet"


def test_a_start_goes_on_once_the_database_is_up(tmp_path: Path) -> None:
    with cluster() as server:
        server.stop()
        come = threading.Timer(1.5, server.start)
        come.start()
        url = {"DATABASE_URL": server.url}
        with start(*SERVE, directory=tmp_path, says="reelhook listens on", **url) as program:
            come.join()
            assert program.stop() == 0


def waiting(directory: Path, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *SERVE],
        cwd=directory,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_it_waits_for_is_said_and_a_stop_is_heard_at_once(tmp_path: Path) -> None:
    url = f"postgresql://u@127.0.0.1:{free_port()}/db"
    with waiting(tmp_path, DATABASE_URL=url) as process:
        assert process.stdout is not None
        line: dict[str, Any] = json.loads(process.stdout.readline())
        assert line["event"].startswith(WORDS)
        assert "connection refused" in line["error"]
        assert line["seconds_left"] == pytest.approx(30, abs=2)
        process.terminate()
        told = time.monotonic()
        rest = process.stdout.read()
        assert process.wait(WAIT_SECONDS) == 0
        assert time.monotonic() - told < STOP_SECONDS
    assert [json.loads(one)["event"] for one in rest.splitlines()] == [
        "Stopped by a signal during the start"
    ]


async def test_waiting_ends(tmp_path: Path) -> None:
    url = f"postgresql://u@127.0.0.1:{free_port()}/db"
    began = time.monotonic()
    variables = {"DATABASE_URL": url, "REELHOOK_DATABASE_WAIT_SECONDS": "1.2"}
    await refused(tmp_path, "connection refused", **variables)
    assert time.monotonic() - began > 1
