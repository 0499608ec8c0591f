"""Brings a SQLite file up to date in a process of its own: `python -m ...schema.apart FILE`.

Alembic and its libraries would stay loaded in a server for weeks: 22 MiB.
"""

import contextlib
import sys
from pathlib import Path
from subprocess import DEVNULL, Popen

import apsw

from reelhook.core.child_process import ChildProcess
from reelhook.domain.errors import SettingsError
from reelhook.storage.schema.migrate import migrate, pending
from reelhook.storage.sqlite.file_lock import FileLock
from reelhook.storage.sqlite.interruptible import Interrupt, interruptible


async def migrate_apart(path: Path) -> None:
    """Apply missing revisions; a cancellation ends that process, and none of them is applied.

    No failure is reported: to open the database meets it again.
    """

    def lacks_some(interrupt: Interrupt) -> bool:
        with contextlib.suppress(SettingsError, OSError, apsw.Error):
            return bool(pending(path, read_only=True, interrupt=interrupt))
        return False

    def start() -> Popen[bytes]:
        command = [sys.executable, "-m", __name__, str(path.absolute())]
        # The command has no part that a caller chose.
        return Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)  # noqa: S603

    if await interruptible(lacks_some):
        with contextlib.suppress(OSError):  # it can't be started
            async with ChildProcess(start) as child:
                await child.run(Popen.wait)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    with FileLock(file):
        migrate(file)
