"""Resend: carries out what was asked to be sent anew, in batches, so that nothing is held up."""

import structlog

from reelhook.core.wakeups import Signals
from reelhook.engine.runner import RunningTasks
from reelhook.ports import Clock, Lease, ResendStore

log = structlog.get_logger()
BATCH = 500


class Redeliver:
    """Turns failed events into deliveries of their own; `Deliver` sends them."""

    name = "resend"

    def __init__(
        self, store: ResendStore, signals: Signals, *, clock: Clock, lease: Lease | None = None
    ) -> None:
        self._store = store
        self._lease = lease
        self._signals = signals
        self._clock = clock
        self.signal = signals.resend
        self.tasks = RunningTasks(signals.resend)

    async def tick(self) -> float | None:
        """Do one batch of each; see `Loop`. What was done is kept, so a restart goes on with it."""
        unfinished = await self._store.unfinished_resends()
        left = False
        for one in unfinished:
            resend = await self._store.advance_resend(one.id, BATCH, self._clock.now(), self._lease)
            self._signals.deliver.tell()
            left = left or resend.finished_at is None
            if resend.finished_at is not None:
                log.info("resend.finished", resend=resend.id, resent=resend.resent)
        return 0.0 if left else None
