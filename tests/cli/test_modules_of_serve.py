"""A server holds no modules that only other commands use: it runs for weeks."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import atexit, os, sys
atexit.register(lambda: print(sorted(set(os.environ["ABSENT"].split(",")) & set(sys.modules))))
from reelhook.cli import main
main()
"""
ABSENT = "rich,pygments,greenlet,sqlite3,sqlalchemy,alembic,av,PIL,reelhook.cli.commands"


def test_a_first_start_leaves_nothing_loaded_that_serve_does_not_use(tmp_path: Path) -> None:
    environment = {**os.environ, "REELHOOK_DATA_DIR": str(tmp_path), "PORT": "0", "ABSENT": ABSENT}
    command = [sys.executable, "-c", PROGRAM, "serve", "--simulate"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if "reelhook listens on" in line:
                server.terminate()
        assert line == "[]\n"
