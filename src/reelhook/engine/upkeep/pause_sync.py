"""Pause sync: applies a pause that was requested in any process to this one."""

from reelhook.core.facts import Emit, WatchingChanged
from reelhook.core.pause import WatchingPause
from reelhook.core.wakeups import Signals
from reelhook.engine.runner import RunningTasks
from reelhook.ports import PauseReads


class PauseSync:
    """Copies the pause of watching from the store to this process."""

    name = "pause"

    def __init__(
        self, store: PauseReads, signals: Signals, pause: WatchingPause, emit: Emit
    ) -> None:
        self._store = store
        self._signals = signals
        self._pause = pause
        self._emit = emit
        self.signal = signals.pause
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Read the pause from the store; see `Loop`."""
        paused = await self._store.watching_paused_since() is not None
        if paused != self._pause.active:
            self._pause.active = paused
            self._emit(WatchingChanged(paused))
            if not paused:
                self._signals.watch.set()
        return None
