"""Redeliver: carries out resends in batches, so that nothing waits for a long one."""

import structlog

from reelhook.core.wakeups import Signals
from reelhook.engine.runner import RunningTasks
from reelhook.ports import Clock, Lease, ResendStore

log = structlog.get_logger()
BATCH = 500


class Redeliver:
    """Turns failed events into new deliveries, which `Deliver` sends."""

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
        """Do one batch of each resend; see `Loop`. After a restart it continues there."""
        unfinished = await self._store.unfinished_resends()
        left = False
        for started in unfinished:
            now = self._clock.now()
            resend = await self._store.advance_resend(started.id, BATCH, now, self._lease)
            self._signals.deliver.publish()
            left = left or resend.finished_at is None
            if resend.finished_at is not None:
                log.info("resend.finished", resend=resend.id, resent=resend.resent)
        return 0.0 if left else None
