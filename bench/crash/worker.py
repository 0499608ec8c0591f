"""A bare worker: the real store, recording, loops and sender, without HTTP or a provider."""

import asyncio
import contextlib
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from math import inf
from pathlib import Path
from random import Random

import structlog

from bench.crash import known_faults
from bench.crash.failpoints import (
    CrashingFiles,
    CrashingSender,
    CrashingSocket,
    CrashingSQLite,
    Failpoints,
)
from bench.crash.known_faults import Fault
from bench.crash.plan import Failpoint, Kill
from bench.crash.workload import LEASE_MILLISECONDS, RESEND, Feed, Told, Workload
from reelhook.clock import SystemClock
from reelhook.core.facts import emitter
from reelhook.core.recording import Recording
from reelhook.core.signing import Secrets
from reelhook.core.wakeups import Signals
from reelhook.domain.schedule import RetrySchedule
from reelhook.doors.compat.payload import CompatPayload
from reelhook.engine.delivering.deliver import Deliver
from reelhook.engine.delivering.redeliver import Redeliver
from reelhook.engine.leases import LANE_IDS, Leases
from reelhook.engine.runner import Runner
from reelhook.guard.addresses import AddressPolicy
from reelhook.storage.sqlite.file_lock import FileLock
from reelhook.storage.store import Store
from reelhook.telemetry.facts import log_fact
from reelhook.webhooks.sender import AiohttpSender

DATABASE, TOLD, LOG = "reelhook.db", "told", "worker.log"
SECRET = "bench secret of the crashes"
LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"),))
SCHEDULE = RetrySchedule((0.02,) * 20)
CONCURRENCY = 4
LIFE_SECONDS_MAX = 20
LOOK_SECONDS = 0.004


@dataclass(frozen=True, slots=True)
class Life:
    """One worker process: what it works on, and where it ends (None: when all is done)."""

    number: int
    folder: Path
    work: Workload
    kill: Kill | None
    seed: int
    resending: bool
    fault: Fault | None = None


def start(life: Life) -> int:
    """Fork a worker; return its process id. The caller has no thread and no loop."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(LIFE_SECONDS_MAX)  # whatever happens, it does not outlive this
            _log_errors(life.folder / LOG)
            asyncio.run(_live(life))
            code = 0
        except BaseException:
            (life.folder / LOG).open("a").write(traceback.format_exc())
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def _log_errors(path: Path) -> None:
    """Nothing goes wrong in a sound worker but being killed: what it logs as an error counts."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.WriteLoggerFactory(path.open("a", buffering=1)),
    )


async def _live(life: Life) -> None:
    points = Failpoints(life.kill)
    path = life.folder / DATABASE
    async with contextlib.AsyncExitStack() as stack:
        if life.kill is not None and life.kill.point is Failpoint.WITHIN_COMMIT:
            stack.callback(CrashingFiles(points).unregister)
        stack.enter_context(FileLock(path))
        database = CrashingSQLite(path, points)
        stack.push_async_callback(database.close)
        told = stack.enter_context(Told(life.folder / TOLD))
        sender = await stack.enter_async_context(
            AiohttpSender(LOOPBACK, open_socket=partial(CrashingSocket.open, points=points))
        )
        store = known_faults.store(life.fault)(database, points)
        crashing = CrashingSender(known_faults.sender(life.fault, sender), points)
        await _work(life, store, crashing, told)


async def _work(life: Life, store: Store, sender: CrashingSender, told: Told) -> None:
    signals, clock, emit = Signals(), SystemClock(), emitter(log_fact)
    chance = Random(f"{life.seed} {life.number}")  # noqa: S311  # makes no keys
    recording = Recording(
        store, signals, CompatPayload(lambda job_id: f"https://gateway.example/{job_id}"), emit
    )
    await store.free_leases()  # the file's lock proves that no one else is alive
    held, _ = await store.tend(str(os.getpid()), LANE_IDS, LEASE_MILLISECONDS)
    leases = Leases()
    leases.keep(LANE_IDS, held, inf)
    deliver = Deliver(
        store,
        sender,
        signals,
        leases=leases,
        # The receivers see by the user agent which worker sent a request.
        signing=known_faults.signing(life.fault)(Secrets(SECRET), f"life/{life.number}"),
        schedule=SCHEDULE,
        concurrency=CONCURRENCY,
        emit=emit,
        clock=clock,
        random=chance,
    )
    runner = Runner([deliver, Redeliver(store, signals, clock=clock)], clock)
    feed = Feed(life.work, store, recording, clock, told, chance)
    if life.resending:
        await feed.run_to_failure()
    runner.start()
    if not life.resending:
        await feed.run()
    while not await _is_done(store, resending=life.resending):  # only the store knows
        if life.fault is Fault.EARLY_ACK:
            signals.deliver.set()  # its events come after their signal
        await asyncio.sleep(LOOK_SECONDS)
    await runner.stop()


async def _is_done(store: Store, *, resending: bool) -> bool:
    if resending and (await store.resend(RESEND)).finished_at is None:
        return False
    return await store.deliveries_waiting() == 0
