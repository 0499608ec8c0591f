"""From a request to its terminal webhook, at a rate."""

import asyncio
import time

import aiohttp

from bench.checks import check_endings, check_signatures, terminal
from bench.delivery.feed import AT_ONCE
from bench.delivery.judge import tell_load
from bench.delivery.latency import Spread
from bench.delivery.phase import LATE_SECONDS_MAX, receiving, tell_disk
from bench.figures import Figures
from bench.stage import Request, Stage, until

PER_SECOND = 50.0
SECONDS = 30.0
RENDER_SECONDS = 1.0
POLL_SECONDS = 0.1


async def chain() -> Figures:
    """`POST /api/generate` 50 times a second; what the render itself takes is taken off."""
    figures = Figures("delivery-chain")
    async with receiving("chain", POLL_SECONDS, endpoints=100) as here:
        await here.set_upstream(finish_after_seconds=RENDER_SECONDS)
        await tell_disk(figures, here)
        requests = [_request(here, number) for number in range(round(PER_SECOND * SECONDS))]
        before, started = here.work(), time.monotonic()
        await _submit_at_rate(here, requests)
        await _all_ended(here, len(requests))
        tell_load(figures, here, here.work().since(before), time.monotonic() - started)
        arrivals = await here.arrivals()
        sent = {str(one.job_id): one.sent_at for one in requests}
        took = [(one["t"] - sent[one["event"]["jobId"]]) * 1000 for one in terminal(arrivals)]
        spread = Spread.of([one - RENDER_SECONDS * 1000 for one in took])
        figures.tell("request to terminal webhook, less the render", f"{spread} ms")
        figures.tell("of which waiting for the next poll, mean", f"{POLL_SECONDS * 500:.0f} ms")
        spread.keep(figures, "")
        check_endings(figures, arrivals, list(sent))
        check_signatures(figures, arrivals)
    return figures


def _request(here: Stage, number: int) -> Request:
    ports = here.receivers.ports
    url = f"http://127.0.0.1:{ports[number % len(ports)]}/hook"
    return Request(f"chain-{number}", f"chain {number}", url)


async def _submit_at_rate(here: Stage, requests: list[Request]) -> None:
    start = time.monotonic()
    # Connections are kept: a backend that asks for videos all day keeps its own.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        here.session, fresh = session, here.session
        try:
            async with asyncio.TaskGroup() as group:
                for number, request in enumerate(requests):
                    await asyncio.sleep(max(0.0, start + number / PER_SECOND - time.monotonic()))
                    group.create_task(here.submit(request))
        finally:
            here.session = fresh


async def _all_ended(here: Stage, count: int) -> None:
    async def enough() -> bool:
        stats = await here.get(f"{here.server.url}/api/stats")
        return bool(stats["jobs"]["completed"] == count and not stats["deliveries"]["waiting"])

    await until(enough, seconds=RENDER_SECONDS + LATE_SECONDS_MAX, every=0.5)
