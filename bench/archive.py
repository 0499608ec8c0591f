"""The archive under kills and under load: `python -m bench.archive`, or `make bench-archive`.

A large file goes through the archive and out again, on a folder, on S3 (moto's server), and with
two workers on PostgreSQL, while processes are killed. Then 1,000 jobs complete within 10 s.
"""

import argparse
import asyncio
import hashlib
import random
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from typing import Any

from bench.archive_rows import counts, rows, stored
from bench.clusters import cluster
from bench.figures import Figures, quantile
from bench.memory import resident_mib
from bench.processes import machine_cpu_seconds
from bench.s3_trouble import moto, troubled, variables
from bench.stage import RESULTS, Stage, stage, until
from bench.upstream_files import digest
from bench.worker_processes import Workers

MIB = 1024 * 1024
LARGE_BYTES = 200 * MIB
KILLS = 20
JOBS = 1_000
LOST_BYTES_MAX = 8 * MIB
IN_FLIGHT_BYTES_MAX = 16 * MIB
"""The bytes that a killed process had not read: they are in the buffers of two sockets."""
GROWTH_MIB_MAX = 64
TROUBLED_JOBS = 8
TROUBLE_SECONDS = 15.0
"""The time for which the store fails in each way, and in which the provider keeps a file."""


async def whole(name: str, figures: Figures, environment: dict[str, str]) -> None:
    """Send a large file through the archive of one process; kill it, and read the file again."""
    async with stage(f"archive-{name}", environment) as here:
        await here.server.start()
        database = str(here.folder / "data" / "reelhook.db")
        await here.set_upstream(latency_ms=1, finish_after_seconds=0.0, file_bytes=LARGE_BYTES)
        before = resident_mib(here.server.pid)
        first = await submitted(here, 1)
        peak = await peak_until(here.server.pid, lambda: counts(database), 1)
        figures.at_most(f"{name}: growth of memory", peak - before, GROWTH_MIB_MAX, " MiB")
        await here.set_upstream(file_bytes_per_second=20.0 * MIB)
        second = await submitted(here, 1)
        chance = random.Random(18)  # noqa: S311 - chance picks moments here, not keys
        kills = 0
        while kills < KILLS and (await counts(database)).get("stored", 0) < 2:
            await asyncio.sleep(chance.uniform(0.05, 1.2))
            here.server.kill()
            kills += 1
            await here.server.start()
        figures.tell(f"{name}: kills", kills)
        await stored(database, 2, seconds=120)
        await judge(here, figures, name, database, first + second, kills)


async def apart(figures: Figures) -> None:
    """Send a large file through two workers on PostgreSQL; kill the one that has it."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(cluster())
        endpoint = await stack.enter_async_context(moto())
        environment = {"DATABASE_URL": database.url, **variables(endpoint)}
        here = await stack.enter_async_context(
            stage("archive-workers", environment, arguments=("serve", "--no-worker"))
        )
        workers = Workers(here.folder, {**here.server.environment, **environment})
        stack.callback(workers.close)
        await here.server.start()
        workers.start()
        workers.start()
        await workers.ready()
        await here.set_upstream(
            latency_ms=1,
            finish_after_seconds=0.0,
            file_bytes=LARGE_BYTES,
            file_bytes_per_second=20.0 * MIB,
        )
        ids = await submitted(here, 1)
        await until(partial(is_sent, here), seconds=60)
        await asyncio.sleep(4)
        log = await sent(here)
        # The key of each worker's requests says whose download it is.
        holder = next(one for one in workers.running if one.name == log[-1]["who"])
        workers.kill(holder)
        await stored(database.url, 1, seconds=120)
        await judge(here, figures, "two workers", database.url, ids, 1)


async def judge(
    here: Stage, figures: Figures, name: str, database: str, ids: list[str], kills: int
) -> None:
    log = await sent(here)
    again = sum(entry["sent"] for entry in log) - len(ids) * LARGE_BYTES
    each = again / max(1, kills) / MIB
    limit = (LOST_BYTES_MAX + IN_FLIGHT_BYTES_MAX) / MIB
    figures.at_most(f"{name}: sent again for each kill", each, limit, " MiB")
    await here.set_upstream(file_seconds=-1.0)  # the provider deletes its files
    for job_id in ids:
        row = next(one for one in await rows(database) if one["job_id"] == job_id)
        wanted = digest(row["provider_job_id"], LARGE_BYTES)
        figures.equal(f"{name}: recorded hash is the file's", row["sha256"] == wanted, True)
        url = f"{here.server.url}/api/sora/videos/{job_id}/download"
        read = hashlib.sha256()
        async with here.session.get(url) as response:
            async for chunk in response.content.iter_chunked(256 * 1024):
                read.update(chunk)
        figures.equal(f"{name}: served file is the provider's", read.hexdigest() == wanted, True)


async def sent(here: Stage) -> list[dict[str, Any]]:
    """Return the upstream's lines about files that it sent."""
    return [entry for entry in (await here.upstream_state())["log"] if "sent" in entry]


async def is_sent(here: Stage) -> bool:
    """Return True once the upstream has begun to send a file."""
    return bool(await sent(here))


async def submitted(here: Stage, count: int) -> list[str]:
    """Submit jobs; return their ids."""
    requests = [here.request(number, f"job {number}") for number in range(count)]
    await here.submit_all(requests)
    return [str(one.job_id) for one in requests]


async def peak_until(pid: int, read: Callable[[], Any], count: int) -> float:
    """Return the most memory of a process in MiB, until that many files are stored."""
    peak, end = 0.0, time.monotonic() + 120
    while (await read()).get("stored", 0) < count:
        peak = max(peak, resident_mib(pid))
        if time.monotonic() > end:
            raise RuntimeError("the file was not stored in time")
        await asyncio.sleep(0.02)
    return max(peak, resident_mib(pid))


async def many(figures: Figures) -> None:
    """Let 1,000 jobs complete within 10 s, without and with the archive."""
    p95 = {}
    for kind, url in (("without", "off"), ("with", "")):
        environment = {"REELHOOK_ARCHIVE_URL": url} if url else {}
        async with stage(f"archive-many-{kind}", environment) as here:
            await here.server.start()
            await here.set_upstream(
                latency_ms=5, finish_after_seconds=6.0, file_bytes=MIB, file_seconds=60.0
            )
            ear, busy = here.ear(), machine_cpu_seconds()
            began = time.monotonic()
            tasks = []
            for number in range(JOBS):
                await asyncio.sleep(max(0.0, began + number / 100 - time.monotonic()))
                request = here.request(number, f"job {number}")
                tasks.append(asyncio.create_task(here.submit(request)))
            await asyncio.gather(*tasks)
            await ear.ended(JOBS, seconds=120)
            waits = [
                one["clock"] - seconds_of(one["event"]["timestamp"])
                for one in await here.arrivals()
                if one["event"]["status"] == "completed"
            ]
            p95[kind] = quantile(waits, 0.95) * 1000
            figures.tell(f"p95 of webhooks {kind} the archive", f"{p95[kind]:.1f} ms")
            figures.tell(f"CPU seconds {kind}", f"{machine_cpu_seconds() - busy:.0f}")
            if kind == "with":
                database = str(here.folder / "data" / "reelhook.db")
                await stored(database, JOBS, seconds=90)
                figures.equal("files archived", (await counts(database)).get("stored", 0), JOBS)
                figures.tell(
                    "seconds from first job to last file", f"{time.monotonic() - began:.1f}"
                )
    figures.at_most("p95 with the archive, as a multiple", p95["with"] / p95["without"], 1.2)


async def trouble(figures: Figures) -> None:
    """Let the store fail in one way after another, then recover; the files expire meanwhile."""
    async with troubled() as (proxy, environment), stage("archive-trouble", environment) as here:
        await here.server.start()
        await here.set_upstream(
            latency_ms=5,
            finish_after_seconds=0.0,
            file_bytes=12 * MIB,
            file_seconds=TROUBLE_SECONDS,
        )
        number = 0
        for mode in ("none", "loses", "refuses", "full", "hangs"):
            proxy.mode, seen = mode, len(await here.arrivals())
            requests = [here.request(number + n, f"job {number + n}") for n in range(TROUBLED_JOBS)]
            number += TROUBLED_JOBS
            await here.submit_all(requests)
            heard = await here.ear(seen).ended(TROUBLED_JOBS, seconds=20)
            figures.equal(f"all webhooks came while the store {mode}", heard, True)
            await asyncio.sleep(TROUBLE_SECONDS)
            # After the trouble before, the store is tried again half a minute later at most.
            await until(partial(proxy.was_met, mode), seconds=60)
            figures.at_least(f"requests that met {mode}", proxy.met[mode], 1)
        proxy.mode = "none"
        database, began = str(here.folder / "data" / "reelhook.db"), time.monotonic()
        await stored(database, number, seconds=180)
        figures.equal("files archived", (await counts(database))["stored"], number)
        figures.tell("seconds after the recovery", f"{time.monotonic() - began:.0f}")
        other = [
            row["job_id"]
            for row in await rows(database)
            if row["sha256"] != digest(row["provider_job_id"], 12 * MIB)
        ]
        figures.none("files with another hash than the provider's", other)


def seconds_of(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


async def measure(scenarios: list[str]) -> Figures:
    figures = Figures("archive")
    if "folder" in scenarios:
        await whole("folder", figures, {})
    if "s3" in scenarios:
        async with moto() as endpoint:
            await whole("s3", figures, variables(endpoint))
    if "workers" in scenarios:
        await apart(figures)
    if "many" in scenarios:
        await many(figures)
    if "trouble" in scenarios:
        await trouble(figures)
    return figures


def main() -> None:
    """Measure; exit 1 if a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = ["folder", "s3", "workers", "many", "trouble"]
    parser.add_argument("scenarios", nargs="*", default=every)
    figures = asyncio.run(measure(parser.parse_args().scenarios))
    figures.show()
    figures.write(RESULTS)
    sys.exit(not figures.reached)


if __name__ == "__main__":
    main()
