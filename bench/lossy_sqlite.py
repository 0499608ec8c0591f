"""`reelhook` on a SQLite whose COMMITs fail: `python -m bench.lossy_sqlite SHARE SEED serve`.

In turn the sync of the log fails once, so that nobody sees what a restart would find; or it goes
on failing for a while; or COMMIT raises an error when it is done.
"""

import sys
from itertools import cycle
from random import Random
from typing import Any

import apsw

from reelhook.cli import main
from reelhook.storage.sqlite import driver

ONCE, LONGER = 1, 5
"""How many syncs fail in a row; three more than one are as many as the outcome is looked for."""
CHECKPOINT_PAGES = 1000


class Chance:
    def __init__(self, share: float, seed: int) -> None:
        self._share = share
        self._random = Random(seed)  # noqa: S311  # chooses moments, makes no keys
        self._ways = cycle((ONCE, LONGER, 0))
        self._left = 0
        self._after = False

    def stop(self) -> None:
        """Let nothing fail any more."""
        self._share, self._left, self._after = 0.0, 0, False

    def sync_fails(self) -> bool:
        if not self._left and not self._after and self._random.random() < self._share:
            self._left = next(self._ways)
            self._after = self._left == 0
        if self._left:
            self._left -= 1
            return True
        return False

    def fails_when_done(self) -> bool:
        after, self._after = self._after, False
        return after


class LossyFiles(apsw.VFS):
    def __init__(self, chance: Chance) -> None:
        super().__init__("lossy", "unix", makedefault=True)
        self._chance = chance

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's name
        if flags[0] & apsw.SQLITE_OPEN_WAL:
            return _LossyLog(name, flags, self._chance)
        return apsw.VFSFile("unix", name, flags)


class _LossyLog(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], chance: Chance) -> None:
        super().__init__("unix", name, flags)
        self._chance = chance

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name
        super().xSync(flags)
        if self._chance.sync_fails():
            raise apsw.IOError("the sync failed, by plan")


def lose(chance: Chance) -> None:
    """Let what is opened from now on fail."""
    files = LossyFiles(chance)
    usual = driver.connect

    def connect(*given: Any, **options: Any) -> apsw.Connection:
        connection = usual(*given, **options)
        assert files is not None  # SQLite keeps no reference of its own
        if not options["read_only"]:
            connection.set_wal_hook(done)
        return connection

    def done(connection: apsw.Connection, name: str, pages: int) -> int:
        if pages > CHECKPOINT_PAGES:  # the hook takes the place of SQLite's own, which does this
            connection.wal_checkpoint(name)
        if chance.fails_when_done():
            raise apsw.IOError("after the commit, by plan")
        return apsw.SQLITE_OK

    driver.connect = connect


if __name__ == "__main__":
    share, seed, *arguments = sys.argv[1:]
    lose(Chance(float(share), int(seed)))
    sys.argv[1:] = arguments
    main()
