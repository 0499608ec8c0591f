"""A server holds no modules that only other commands use: it runs for weeks."""

import os
import subprocess
import sys

PROGRAM = """
import atexit, os, sys
atexit.register(lambda: print(sorted(set(os.environ["ABSENT"].split(",")) & set(sys.modules))))
from reelhook.cli import main
main()
"""
ABSENT = "rich,pygments,greenlet,sqlalchemy,alembic,av,PIL,reelhook.cli.commands"


def test_serve_loads_nothing_that_it_does_not_use() -> None:
    # All modules are loaded before the wrong setting is found.
    environment = {**os.environ, "PORT": "none", "ABSENT": ABSENT}
    command = [sys.executable, "-c", PROGRAM, "serve"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (78, "[]\n")
