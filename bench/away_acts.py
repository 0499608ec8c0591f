"""The ways in which a database can be away, and what is done about it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg

from bench.away_load import Load
from bench.clusters import Cluster
from bench.figures import Figures
from bench.stage import Stage, until
from bench.worker_processes import Workers

EXIT_SECONDS_MAX = 8.0
SYNC_SECONDS_MAX = 30.0
FAIL_OVER_SECONDS_MAX = 5.0
RESTARTS = 3
FILLER_BYTES = 4096


@dataclass(slots=True)
class Run:
    """One scenario under way. `patience` is a factor of the times allowed; `away` is when the
    database was: from, until.
    """

    here: Stage
    workers: Workers
    load: Load
    figures: Figures
    server: Cluster
    follower: Cluster | None
    seconds: float
    calm: float
    patience: float
    away: list[tuple[float, float]] = field(default_factory=list)

    @property
    def survivor(self) -> Cluster:
        return self.follower or self.server


Act = Callable[[Run], Awaitable[None]]


async def away(run: Run) -> None:
    """It is stopped for long. Meanwhile one worker is stopped; it is replaced afterwards."""
    gone_at = time.monotonic()
    await asyncio.to_thread(run.server.stop)
    await _meanwhile(run)
    back_at = time.monotonic()
    await asyncio.to_thread(run.server.start)
    run.away.append((gone_at, back_at))
    run.workers.start()


async def restart(run: Run) -> None:
    """It is restarted, a few times."""
    for _ in range(RESTARTS):
        gone_at = time.monotonic()
        await asyncio.to_thread(run.server.stop)
        back_at = time.monotonic()
        await asyncio.to_thread(run.server.start)
        run.away.append((gone_at, back_at))
        await asyncio.sleep(run.calm)


async def hang(run: Run) -> None:
    """It is frozen: its connections stand, new ones are taken by the system, nothing answers."""
    run.server.freeze()
    gone_at = time.monotonic()
    await _meanwhile(run)
    run.away.append((gone_at, time.monotonic()))
    run.server.thaw()
    run.workers.start()


async def failover(run: Run) -> None:
    """It is killed, and its synchronous standby, which the URL names first, takes its place."""
    assert run.follower is not None
    await _synchronous(run.server)
    await asyncio.sleep(min(run.seconds, FAIL_OVER_SECONDS_MAX))
    gone_at = time.monotonic()
    await asyncio.to_thread(run.server.kill)
    await asyncio.sleep(min(run.seconds, FAIL_OVER_SECONDS_MAX))
    run.away.append((gone_at, time.monotonic()))
    await asyncio.to_thread(run.follower.promote)


async def full(run: Run) -> None:
    """Its disk is full, with its log; then there is room again, and it is started if it fell."""
    filler = run.server.folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(FILLER_BYTES))
    before = len(run.load.answers)
    refused = await until(lambda: _refused(run, before), seconds=60)
    run.figures.equal("what could not be kept was refused", refused, True)
    await asyncio.sleep(run.seconds)
    run.figures.tell("the server still ran with a full disk", run.server.running)
    filler.unlink()
    if not run.server.running:
        await asyncio.to_thread(run.server.start)


async def _refused(run: Run, before: int) -> bool:
    return any(one.status == 503 for one in run.load.answers[before:])


async def _meanwhile(run: Run) -> None:
    """While it is away a worker is told to stop, and does."""
    await asyncio.sleep(run.seconds / 2)
    seconds, code = await run.workers.stop(run.workers.running[0])
    # Patience is for a busy machine; a stop is promised to take no longer on any.
    run.figures.at_most("a worker's exit meanwhile", seconds, EXIT_SECONDS_MAX, " s")
    run.figures.equal("its exit code", code, 0)
    await asyncio.sleep(max(0.0, run.seconds / 2 - seconds))


async def _synchronous(server: Cluster) -> None:
    """Let every commit wait for the standby from now on."""
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")

        async def synchronous() -> bool:
            query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            return bool(await connection.fetchval(query))

        assert await until(synchronous, seconds=SYNC_SECONDS_MAX), "the standby does not follow"
    finally:
        await connection.close()


ACTS: dict[str, Act] = {
    "away": away,
    "restart": restart,
    "hang": hang,
    "failover": failover,
    "full": full,
}
