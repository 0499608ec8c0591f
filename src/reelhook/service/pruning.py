"""The use case of the archive's limits: remove now what they no longer allow."""

from collections.abc import Sequence

from reelhook.core.wakeups import Signals
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.keeping import ExcessFile, FileLimits
from reelhook.ports import Clock, KeepingStore

BATCH_FILES = 100


class Pruning:
    """Removes files now, as a loop does once an hour."""

    def __init__(
        self, store: KeepingStore, limits: FileLimits, signals: Signals, *, clock: Clock
    ) -> None:
        self._store = store
        self._limits = limits
        self._signals = signals
        self._clock = clock

    async def prune(self, caller: Caller) -> tuple[Sequence[ExcessFile], bool]:
        """Remove the next files; return them, and True if there may be more.

        Their objects are deleted soon after.
        """
        caller.require(Scope.OPERATOR)
        now = self._clock.now()
        files = await self._store.excess_files(self._limits, now, BATCH_FILES)
        if files:
            await self._store.remove_archived(files, now)
            self._signals.removals.publish()
        return files, len(files) == BATCH_FILES
