"""Start, memory, the way from request to creation, and the end of the process."""

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from random import Random

from bench.checks import check_endings, check_order
from bench.figures import Figures, quantile
from bench.processes import Server, durable_writes
from bench.stage import Request, Stage, stage, until

READY_SECONDS_MAX = 2.0
EXIT_SECONDS_MAX = 8.0
IDLE_MIB_MAX = 120.0
CREATION_SECONDS_MAX = 0.05


async def process() -> Figures:
    """Ready within 2 s on a warm disk, at most 120 MiB idle, gone within 8 s with exit 0."""
    figures = Figures("process")
    environment = {"REELHOOK_POLL_SECONDS": "1", "REELHOOK_SUBMIT_SETTLE_SECONDS": "3"}
    async with stage("process", environment) as here:
        figures.tell("first start, with migration", f"{await here.server.start():.2f} s")
        await here.server.stop()
        await _judge_idle(here, figures)
        await _judge_second(here, figures)
        await _judge_stop_under_load(here, figures)
    return figures


async def _judge_idle(here: Stage, figures: Figures) -> None:
    for turn in range(3):
        figures.at_most(
            f"warm start {turn + 1}", await here.server.start(), READY_SECONDS_MAX, " s"
        )
        await asyncio.sleep(3)
        figures.at_most(f"idle memory {turn + 1}", here.server.rss_mib(), IDLE_MIB_MAX, " MiB")
        cpu = here.server.cpu_seconds()
        await asyncio.sleep(3)
        figures.tell(f"idle CPU {turn + 1}", f"{(here.server.cpu_seconds() - cpu) / 3:.1%}")
        number = (signal.SIGTERM, signal.SIGINT)[turn % 2]
        took, code = await here.server.stop(number)
        figures.at_most(f"idle stop {turn + 1}, {number.name}", took, EXIT_SECONDS_MAX, " s")
        figures.equal(f"its exit code {turn + 1}", code, 0)


async def _judge_second(here: Stage, figures: Figures) -> None:
    """A second `serve` on the same data stops with one sentence, the first one goes on."""
    await here.server.start()
    second = Server(here.folder / "second", dict(here.server.environment))
    second.environment["PORT"] = str(second.port)
    second.spawn()

    async def ended() -> bool:
        return not second.running

    figures.equal("a second serve ends", await until(ended, seconds=10), True)
    figures.equal("with an exit code that says so", second.exit_code() not in {None, 0}, True)
    said = [line for line in second.log.read_text().splitlines() if not line.startswith("---")]
    figures.equal("lines it says", len(said), 1)
    figures.details["a second serve said"] = said
    second.close()
    await here.server.ready()
    await here.server.stop()


async def _judge_stop_under_load(here: Stage, figures: Figures) -> None:
    """SIGTERM amid paid calls, hung receivers, open event streams and a half-sent request."""
    await here.set_upstream(latency_ms=3000, finish_after_seconds=6.0, late_creates=0.5)
    await here.set_rules({f"/hook/{n}": {"silent": True} for n in range(5)})
    await here.server.start()
    early = [here.request(n, f"early {n}") for n in range(30)]
    await here.submit_all(early)
    await asyncio.sleep(7)
    late = [here.request(n, f"late {n}") for n in range(30, 60)]
    await here.submit_all(late)
    async with AsyncExitStack() as stack:
        await _open_streams(here, stack, early)
        await asyncio.sleep(0.7)
        figures.tell(
            "upstream calls under way at SIGTERM", (await here.upstream_state())["waiting"]
        )
        took, code = await here.server.stop()
    figures.at_most("stop under load", took, EXIT_SECONDS_MAX, " s")
    figures.equal("exit code under load", code, 0)
    await here.set_upstream(latency_ms=150)
    await here.set_rules({f"/hook/{n}": {} for n in range(5)})
    figures.at_most("start with work to resume", await here.server.start(), READY_SECONDS_MAX, " s")
    await _judge_resumed(here, figures, early + late)


async def _open_streams(here: Stage, stack: AsyncExitStack, requests: list[Request]) -> None:
    ids = ",".join(str(one.job_id) for one in requests[:10])
    for _ in range(3):
        url = f"{here.server.url}/api/jobs/events"
        await stack.enter_async_context(here.session.get(url, params={"jobIds": ids}))
    _, writer = await asyncio.open_connection("127.0.0.1", here.server.port)
    writer.write(b"POST /api/generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le")
    await writer.drain()
    stack.callback(writer.close)


async def _judge_resumed(here: Stage, figures: Figures, requests: list[Request]) -> None:
    await here.ear().ended(len(requests), seconds=60)
    arrivals = await here.arrivals()
    check_endings(figures, arrivals, [str(one.job_id) for one in requests])
    check_order(figures, arrivals)
    wrong = [one for one in await here.jobs() if one["status"] != "completed"]
    figures.none("jobs not completed after the restart", [json.dumps(one) for one in wrong])
    creations = await here.creations()
    figures.none("created twice", [p for p, ids in creations.items() if len(ids) > 1])
    figures.equal("jobs created", len(creations), len(requests))


async def creation() -> Figures:
    """Creation at the provider starts within 50 ms of the request."""
    figures = Figures("creation")
    chance = Random(7)  # noqa: S311  # spaces requests, makes no keys
    async with stage("creation", {"REELHOOK_POLL_SECONDS": "5"}) as here:
        await here.server.start()
        writes = await asyncio.to_thread(durable_writes, here.folder)
        shown = ", ".join(f"{quantile(writes, q) * 1000:.1f}" for q in (0.5, 0.99, 1))
        figures.tell("durable write just before, p50, p99, worst", f"{shown} ms")
        await here.submit(here.request(0, "warm-up"))
        await asyncio.sleep(1)
        before = here.work()
        alone = [here.request(n, f"alone {n}") for n in range(60)]
        for request in alone:
            await here.submit(request)
            await asyncio.sleep(chance.uniform(0.05, 0.25))
        together = [here.request(n, f"together {n}") for n in range(100)]
        work = here.work().since(before)
        await here.submit_all(together)
        await asyncio.sleep(2)
        log = (await here.upstream_state())["log"]
    shown = f"{work.server:.2f}, {work.bench:.2f}, {work.others:.2f} s"
    figures.tell("CPU while one by one: server, bench, others", shown)
    started = {one["prompt"]: one["t"] for one in log if one["kind"] == "create"}
    for name, requests in (("one by one", alone), ("32 at once", together)):
        delays = [started[one.prompt] - one.sent_at for one in requests if one.prompt in started]
        figures.equal(f"{name}: creations", len(delays), len(requests))
        shown = ", ".join(f"{quantile(delays, q) * 1000:.1f}" for q in (0.5, 0.95))
        figures.tell(f"{name}: request to creation, p50, p95", f"{shown} ms")
        worst = quantile(delays, 1)
        if name == "one by one":
            slow = sum(1 for delay in delays if delay > CREATION_SECONDS_MAX)
            figures.tell(f"{name}: slower than 50 ms", slow)
            figures.at_most(f"{name}: worst", worst * 1000, CREATION_SECONDS_MAX * 1000, " ms")
        else:
            figures.tell(f"{name}: worst", f"{worst * 1000:.1f} ms")
    return figures
