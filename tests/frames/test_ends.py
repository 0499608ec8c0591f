"""A decoding process neither stops the server nor outlives it."""

import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest
from videos import video

FORKING = """
import os, sys
from pathlib import Path
import uvloop
from reelhook.frames.process import ProcessFrames

os.register_at_fork(after_in_child=lambda: os.write(2, b"Python ran in the child"))
assert uvloop.run(ProcessFrames().look(Path(sys.argv[1]))).poster
"""
HANGING = """
import asyncio, sys
from pathlib import Path
from reelhook.frames import process

program = process._PROGRAM.replace("child.main(", sys.argv[2] + "; child.main(")
asyncio.run(process.ProcessFrames(program).look(Path(sys.argv[1])))
"""
HANGS_EARLY = "import time; time.sleep(100)"
HANGS_CONFINED = "child._demuxer = lambda file: any(iter(int, 1))"


def test_no_python_code_runs_between_fork_and_exec(tmp_path: Path) -> None:
    """There it could wait forever for a lock that another thread held, and the server with it."""
    file = tmp_path / "video"
    file.write_bytes(video(frames=2))
    run = subprocess.run(
        [sys.executable, "-c", FORKING, str(file)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a process with its parent")
@pytest.mark.parametrize("hang", [HANGS_EARLY, HANGS_CONFINED])
def test_the_process_ends_with_the_server(tmp_path: Path, hang: str) -> None:
    file = tmp_path / "video"
    file.write_bytes(video(frames=2))
    with subprocess.Popen([sys.executable, "-c", HANGING, str(file), hang]) as server:
        child = _child(server.pid, confined=hang == HANGS_CONFINED)
        server.kill()
    assert psutil.wait_procs([child], timeout=10)[1] == []


def _child(server: int, *, confined: bool) -> psutil.Process:
    """Wait for the process that decodes; if `confined`, until its calls are filtered."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for child in psutil.Process(server).children():
            status = Path(f"/proc/{child.pid}/status").read_text()
            if not confined or "Seccomp:\t2" in status:
                return child
        time.sleep(0.01)
    raise AssertionError("no process")
