"""Runs the loops of one process: its own loops, and those that its leases allow."""

import contextlib
from collections.abc import AsyncIterator
from functools import partial

import structlog

from reelhook.bootstrap.components import Components
from reelhook.bootstrap.loops import (
    account_loops,
    maintenance_loops,
    process_loops,
    shared_archive,
    spool_loops,
)
from reelhook.engine.leases import MAINTENANCE_ID, Leases, account_id
from reelhook.engine.runner import Loop, Runner
from reelhook.engine.submitting.paid_calls import PaidCalls
from reelhook.engine.worker import Worker, WorkerIdentity

log = structlog.get_logger()
STORE_POLL_SECONDS = 1.0
"""The interval at which loops poll a store that other processes write to."""
WEBHOOKS_FIRST = 16
"""While more webhooks than this are being sent, the archive begins no download at once."""


@contextlib.asynccontextmanager
async def working(parts: Components, identity: WorkerIdentity) -> AsyncIterator[None]:
    """Run the loops until the block ends."""
    leases = Leases()
    loops = process_loops(parts, leases)
    deliver, *_ = loops
    archive = shared_archive(parts, lambda: len(deliver.tasks) > WEBHOOKS_FIRST)
    alone = identity.lease_seconds is None
    every: list[Loop] = [*loops, *spool_loops(parts, archive)]
    runner = Runner(every, parts.clock, look_seconds=None if alone else STORE_POLL_SECONDS)
    worker = Worker(
        parts.store,
        leases,
        runner,
        {
            **{
                account_id(account): partial(
                    account_loops, parts, leases, PaidCalls(), account, archive=archive
                )
                for account in parts.accounts.providers
            },
            MAINTENANCE_ID: partial(maintenance_loops, parts),
        },
        deliver.is_busy,
        identity,
        changed=parts.signals.leases,
        taken=parts.signals.deliver,
        emit=parts.emit,
        clock=parts.clock,
    )
    log.info("Starting Sora API polling service...", emoji="🔍")
    runner.start()
    try:
        await worker.start()
        interval = round(parts.settings.poll_seconds * 1000)
        log.info(f"Sora polling service started (interval: {interval}ms)", emoji="✅")
        yield
    finally:
        await worker.stop()
        if archive is not None:
            archive.spool.close()
        log.info("Sora polling service stopped", emoji="⏹️")
