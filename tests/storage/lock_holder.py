"""A process that owns a database file until it is killed or its input ends."""

import sys
from pathlib import Path

from reelhook.storage.sqlite.file_lock import FileLock

if __name__ == "__main__":
    with FileLock(Path(sys.argv[1])):
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.read()
