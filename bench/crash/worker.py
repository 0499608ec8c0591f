"""A bare worker: the real store, recording, loops and sender, without HTTP or a provider."""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from math import inf
from pathlib import Path
from random import Random

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
from bench.forked import fork
from reelhook.bootstrap.accounts import Accounts
from reelhook.bootstrap.components import Components, build_components
from reelhook.bootstrap.formats import formats_at
from reelhook.bootstrap.loops import maintenance_loops, process_loops
from reelhook.config import Settings
from reelhook.core.signing import Secrets
from reelhook.domain.catalog import Catalog
from reelhook.domain.schedule import RetrySchedule
from reelhook.engine.leases import LANE_IDS, MAINTENANCE_ID, Leases
from reelhook.engine.runner import Loop, Runner
from reelhook.guard.addresses import AddressPolicy
from reelhook.storage.sqlite.file_lock import FileLock
from reelhook.storage.store import Store
from reelhook.webhooks.sender import AiohttpSender

DATABASE, TOLD, LOG = "reelhook.db", "told", "worker.log"
SECRET = "bench secret of the crashes"
LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"),))
SETTINGS = Settings.of(retry_schedule=RetrySchedule((0.02,) * 20), endpoint_concurrency=4)
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
    return fork(lambda: _live(life), log=life.folder / LOG, seconds_max=LIFE_SECONDS_MAX)


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
    parts = build_components(
        SETTINGS,
        store=store,
        accounts=Accounts({}, Catalog([], {}, {})),
        sender=sender,
        # The receivers see by the user agent which worker sent a request.
        signing=known_faults.signing(life.fault)(Secrets(SECRET), f"life/{life.number}"),
        formats=formats_at("https://gateway.example/{}".format),
        random=Random(f"{life.seed} {life.number}"),  # noqa: S311  # makes no keys
    )
    runner = Runner(await _loops(parts), parts.clock)
    feed = Feed(life.work, store, parts.recording, parts.clock, told, parts.random)
    if life.resending:
        await feed.run_to_failure()
    runner.start()
    if not life.resending:
        await feed.run()
    while not await _is_done(store, resending=life.resending):  # only the store knows
        if life.fault is Fault.EARLY_ACK:
            parts.signals.deliver.set()  # its events come after their signal
        await asyncio.sleep(LOOK_SECONDS)
    await runner.stop()


async def _loops(parts: Components) -> list[Loop]:
    """Return the loops that send and send again; the others would only add writes."""
    await parts.store.free_leases()  # the file's lock proves that no one else is alive
    leases = Leases()
    for ids in (LANE_IDS, [MAINTENANCE_ID]):
        held, _ = await parts.store.heartbeat(str(os.getpid()), ids, LEASE_MILLISECONDS)
        leases.keep(ids, held, inf)
    deliver, *_ = process_loops(parts, leases)
    redeliver, *_ = maintenance_loops(parts, held[0])
    return [deliver, redeliver]


async def _is_done(store: Store, *, resending: bool) -> bool:
    if resending and (await store.resend(RESEND)).finished_at is None:
        return False
    return await store.deliveries_waiting() == 0
