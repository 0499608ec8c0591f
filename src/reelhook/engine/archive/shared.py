"""The parts of the archive that all accounts of a process share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from reelhook.core.wakeups import Signals
from reelhook.engine.archive.disks import Disks
from reelhook.engine.archive.health import ArchiveHealth
from reelhook.engine.archive.places import Places
from reelhook.engine.archive.spool import Spool
from reelhook.ports import Clock, Objects

PUTS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class SharedArchive:
    """The spool, the store of files, and the limits on both.

    `puts` limits uploads. `busy` returns True while many webhooks are being sent.
    """

    objects: Objects
    spool: Spool
    disks: Disks
    places: Places
    health: ArchiveHealth
    puts: asyncio.Semaphore
    busy: Callable[[], bool]

    @classmethod
    def of(
        cls,
        objects: Objects,
        folder: Path,
        signals: Signals,
        clock: Clock,
        busy: Callable[[], bool] = lambda: False,
    ) -> Self:
        """Return the parts for a spool in this folder."""
        spool = Spool(folder)
        return cls(
            objects,
            spool,
            Disks(spool, objects),
            Places(),
            ArchiveHealth(clock, signals.archive.set),
            asyncio.Semaphore(PUTS_AT_ONCE),
            busy,
        )
