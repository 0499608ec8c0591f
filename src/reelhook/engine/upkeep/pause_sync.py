"""Switch: keeps this process to the pause that was asked for, in whichever process that was."""

import structlog

from reelhook.core.wakeups import Signals
from reelhook.engine.runner import RunningTasks
from reelhook.ports import PauseReads

log = structlog.get_logger()


class PauseSync:
    """Looks whether watching is paused."""

    name = "switch"

    def __init__(self, store: PauseReads, signals: Signals) -> None:
        self._store = store
        self._signals = signals
        self.signal = signals.switch
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Look; see `Loop`."""
        paused = await self._store.watching_paused_since() is not None
        if paused != self._signals.watching_paused:
            self._signals.watching_paused = paused
            if paused:
                log.info("Sora polling service paused", emoji="⏸️")
            else:
                log.info("Sora polling service resumed", emoji="▶️")
                self._signals.watch.set()
        return None
