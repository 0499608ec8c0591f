"""The rights that the process which decodes has: none but to read its file and to write."""

import json
import subprocess
import sys
from pathlib import Path

import reelhook

PROBE = """
import json, os, socket, sys
sys.path.append(sys.argv[1])
from reelhook.frames.confinement import confine
def tried(work):
    try:
        work()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"
extra = os.dup(0)
confine(cpu_seconds=5, wall_seconds=5)
found = {
    "file": os.read(0, 4).decode(),
    "environment": sorted(set(os.environ) - {"LC_CTYPE"}),
    "inherited": tried(lambda: os.fstat(extra)),
    "open": tried(lambda: os.open("/etc/passwd", os.O_RDONLY)),
    "socket": tried(lambda: socket.socket()),
    "fork": tried(lambda: os.fork()),
    "execute": tried(lambda: os.execv(sys.executable, ["python"])),
    "remove": tried(lambda: os.unlink(sys.argv[2])),
    "kill": tried(lambda: os.kill(os.getppid(), 0)),
    "memory": tried(lambda: bytearray(1 << 30)),
    "group": tried(lambda: os.setpgid(0, 0)),
}
os.write(1, json.dumps(found).encode())
"""


def test_the_process_can_do_nothing_but_read_its_file(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("data")
    tmp_path.chmod(0o777)
    source = str(Path(reelhook.__file__).parents[1])
    with victim.open("rb") as file:
        run = subprocess.run(
            [sys.executable, "-I", "-S", "-c", PROBE, source, str(victim)],
            stdin=file,
            capture_output=True,
            env={},
            check=False,
        )
    found = json.loads(run.stdout)
    assert found.pop("file") == "data"
    assert found.pop("environment") == []
    assert found.pop("memory") == "MemoryError"
    assert "done" not in found.values(), found
    assert victim.exists()
