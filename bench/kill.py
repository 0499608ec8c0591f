"""`kill -9` at random moments under load, and restart: `python -m bench.kill --kills 50`.

Afterwards nothing may be lost, created twice, unknown or out of order. Exits 1 otherwise. With
`--commits 0.01` one response to COMMIT in a hundred is lost as well, and half of the clients send
no Idempotency-Key: they repeat a request that could not be sent, or that was answered 503, and no
other.
"""

import argparse
import asyncio
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from bench.checks import check_endings, check_order, check_signatures
from bench.clusters import cluster
from bench.figures import Figures
from bench.processes import REELHOOK, ROOT, Stub
from bench.stage import RESULTS, Request, Stage, SubmitRefusedError, stage

REQUEST_SECONDS_MAX = 60.0
DRAIN_SECONDS_MAX = 180.0
JOBS_MAX = 5000
STARTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Options:
    """`shared`: how many prompts all jobs share; 0: each has its own. `commits`: what share of the
    responses to COMMIT is lost. `life`: how long a server lives at most, once it is ready.
    """

    kills: int
    rate: float
    settle: float
    shared: int
    refuse: float
    seed: int
    endpoints: int = 50
    commits: float = 0
    database: str = "sqlite"
    life: float = 3

    @property
    def name(self) -> str:
        if self.commits:
            return f"kill-commits-{self.database}"
        return "kill-shared" if self.shared else "kill"


@dataclass(slots=True)
class Load:
    """A client that posts at a steady rate and repeats each request until it is answered."""

    here: Stage
    options: Options
    chance: Random
    requests: list[Request] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    given_up: list[str] = field(default_factory=list)
    unanswered: list[Request] = field(default_factory=list)
    """Without a key, and so not repeated: nobody knows whether they were taken."""
    told: Counter[str] = field(default_factory=Counter)
    stopping: bool = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not self.stopping and len(self.requests) < JOBS_MAX:
                number = len(self.requests)
                shared = self.options.shared
                prompt = f"kill {number % shared if shared else number}"
                # Few endpoints serve many jobs each, as in life.
                request = self.here.request(number % self.options.endpoints, prompt)
                request.keyless = bool(self.options.commits) and number % 2 == 1
                self.requests.append(request)
                tasks.create_task(self._insist(request))
                await asyncio.sleep(self.chance.expovariate(self.options.rate))

    async def _insist(self, request: Request) -> None:
        end = time.monotonic() + REQUEST_SECONDS_MAX
        while time.monotonic() < end:
            try:
                await self.here.submit(request)
            except aiohttp.ClientConnectorError:  # nothing was sent
                await asyncio.sleep(self.chance.uniform(0.05, 0.2))
            except (aiohttp.ClientError, TimeoutError, OSError):
                if self._leaves(request):
                    return
                await asyncio.sleep(self.chance.uniform(0.05, 0.2))
            except SubmitRefusedError as error:
                self._count(error)
                if error.unknown and self._leaves(request):
                    return
                await asyncio.sleep(self.chance.uniform(0.05, 0.2))
            else:
                if (
                    not request.keyless and self.chance.random() < 0.05
                ):  # a client that never saw its 200 asks again
                    await self._again(request)
                return
        self.given_up.append(request.prompt)

    def _leaves(self, request: Request) -> bool:
        """Leave a request that may have been taken, where no key makes it safe to repeat it."""
        if request.keyless:
            self.unanswered.append(request)
        return request.keyless

    def _count(self, error: SubmitRefusedError) -> None:
        if self.options.commits and (error.unknown or error.status == 503):
            self.told["500 acceptance_unknown" if error.unknown else "503"] += 1
        else:
            self.refusals[str(error)[:80]] += 1

    async def _again(self, request: Request) -> None:
        try:
            await self.here.submit(request)
        except (aiohttp.ClientError, TimeoutError, OSError, SubmitRefusedError):
            return


async def _kill_often(here: Stage, options: Options, chance: Random, figures: Figures) -> None:
    slowest, orphans, early, given_up = 0.0, [], 0, 0
    for _ in range(options.kills):
        here.server.spawn()
        if chance.random() < 0.25:
            early += 1
            await asyncio.sleep(chance.uniform(0.05, 1.2))
        else:
            given_up += await _started(here, options)
            slowest = max(slowest, time.monotonic() - here.server.spawned_at)
            await asyncio.sleep(chance.uniform(0.0, options.life))
        if not here.server.running:
            if _gave_up(here, options):
                given_up += 1
                continue
            raise RuntimeError(f"serve ended by itself:\n{here.server.last_lines()}")
        orphans += here.server.kill()
    figures.tell("kills, of them within 1.2 s of the start", f"{options.kills}, {early}")
    figures.tell("slowest restart until ready", f"{slowest:.2f} s")
    figures.none("child processes that outlived a kill", orphans)
    if options.commits:
        figures.tell("starts that were given up for a lost response", given_up)


async def _started(here: Stage, options: Options) -> int:
    """Wait until the server is ready; start it again where it gave up, as a supervisor does.

    Returns how often it did.
    """
    for times in range(STARTS_MAX):
        try:
            await here.server.ready()
        except RuntimeError:
            if not _gave_up(here, options):
                raise
            here.server.spawn()
        else:
            return times
    raise RuntimeError(f"serve gave up {STARTS_MAX} times:\n{here.server.last_lines()}")


def _gave_up(here: Stage, options: Options) -> bool:
    """Whether a start ended with one sentence about the database, where it loses responses."""
    return bool(options.commits) and here.server.last_lines(1).startswith("reelhook: The database")


async def measure(options: Options) -> Figures:
    figures = Figures(options.name)
    chance = Random(options.seed)  # noqa: S311  # chooses moments, makes no keys
    environment = {
        "REELHOOK_POLL_SECONDS": "1",
        "REELHOOK_SUBMIT_SETTLE_SECONDS": f"{options.settle:g}",
        "REELHOOK_RETRY_SCHEDULE": "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s",
    }
    with _lossy(options) as (program, more):
        async with stage(options.name, environment | more, program=program) as here:
            await _measure(here, options, chance, figures)
    return figures


async def _measure(here: Stage, options: Options, chance: Random, figures: Figures) -> None:
    await here.set_upstream(
        latency_ms=500, finish_after_seconds=4.0, late_creates=0.5, progress_seconds=1.0
    )
    await here.set_rules({"*": {"refuse": options.refuse}})
    load = Load(here, options, chance)
    running = asyncio.create_task(load.run())
    await _kill_often(here, options, chance, figures)
    here.server.spawn()
    await _started(here, options)
    load.stopping = True
    await running
    if options.commits:
        await _look_up(here, figures, load)
    await drain(here, figures, load)
    await judge(here, figures, load)


@contextmanager
def _lossy(options: Options) -> Iterator[tuple[Sequence[str], dict[str, str]]]:
    """Yield the program to run and its settings, with a database that loses what it shall."""
    share, seed = str(options.commits), str(options.seed)
    if options.database == "postgresql":
        with cluster() as server:
            proxy = Stub(
                "bench.lossy_postgres", "--to", str(server.port), "--share", share, "--seed", seed
            )
            try:
                url = f"postgresql://postgres@127.0.0.1:{proxy.ports[0]}/postgres?sslmode=disable"
                more = {"DATABASE_URL": url, "REELHOOK_SUBMIT_TIMEOUT_SECONDS": "3"}
                yield (str(REELHOOK),), more
            finally:
                proxy.close()
    elif options.commits:
        # Otherwise what was installed would be run, and not what lies here.
        yield (sys.executable, "-m", "bench.lossy_sqlite", share, seed), {"PYTHONPATH": str(ROOT)}
    else:
        yield (str(REELHOOK),), {}


async def _look_up(here: Stage, figures: Figures, load: Load) -> None:
    """Find out what became of requests that no client repeated; tell what clients were told."""
    by_title = {one["title"]: one["jobId"] for one in await here.jobs()}
    for request in load.unanswered:
        if request.prompt in by_title:
            request.job_id = by_title[request.prompt]
            request.job_ids.add(request.job_id)
    taken = sum(one.job_id is not None for one in load.unanswered)
    figures.tell("not repeated, of them taken", f"{len(load.unanswered)}, {taken}")
    load.requests = [one for one in load.requests if one.job_id or one not in load.unanswered]
    for words, times in sorted(load.told.items()):
        figures.tell(f"answers: {words}", times)
    for outcome, times in sorted(_outcomes(here).items()):
        figures.tell(f"lost responses to COMMIT: {outcome}", times)


def _outcomes(here: Stage) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in here.server.log.read_text(errors="replace").splitlines():
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(line)
            if told["event"] == "commit.cleared_up":
                found[told["outcome"]] += 1
            elif told["event"] == "commit.unknown":
                found["unknown at first"] += 1
    return found


async def drain(here: Stage, figures: Figures, load: Load, quiet_seconds: float = 5) -> None:
    started = time.monotonic()
    await here.ear().ended(len(load.requests), seconds=DRAIN_SECONDS_MAX)
    figures.tell("seconds until all had ended", f"{time.monotonic() - started:.1f}")
    await asyncio.sleep(quiet_seconds)  # whatever comes too often may come now


async def judge(here: Stage, figures: Figures, load: Load) -> None:
    requests = [one for one in load.requests if one.job_id]
    figures.tell("requests answered", len(requests))
    figures.tell("posts in all", sum(one.tries for one in requests))
    figures.none("requests given up", load.given_up)
    figures.none("answers other than 200", list(load.refusals.items()))
    figures.none("keys with two jobs", [one for one in requests if len(one.job_ids) > 1])
    arrivals = await here.arrivals()
    job_ids = [str(one.job_id) for one in requests]
    figures.equal("jobs in the list", len(await here.jobs()), len(set(job_ids)))
    check_endings(figures, arrivals, job_ids)
    check_order(figures, arrivals)
    check_signatures(figures, arrivals)
    _judge_jobs(figures, await here.jobs())
    _judge_creations(figures, await here.creations(), requests)
    log = (await here.upstream_state())["log"]
    kinds = Counter(one["kind"] for one in log)
    figures.tell("upstream requests", ", ".join(f"{k} {n}" for k, n in sorted(kinds.items())))


def _judge_jobs(figures: Figures, jobs: list[dict[str, Any]]) -> None:
    unknown = [one for one in jobs if one["code"] == "submission_unknown"]
    figures.none("jobs ended submission_unknown", unknown)
    figures.none("jobs not completed", [one for one in jobs if one["status"] != "completed"])
    held = Counter(one["soraJobId"] for one in jobs if one["soraJobId"])
    figures.none("videos that two jobs hold", [one for one, times in held.items() if times > 1])


def _judge_creations(
    figures: Figures, creations: dict[str, list[str]], requests: list[Request]
) -> None:
    wanted = Counter(one.prompt for one in requests)
    often = [
        f"{prompt}: {len(ids)} > {wanted[prompt]}"
        for prompt, ids in creations.items()
        if len(ids) > wanted[prompt]
    ]
    seldom = [p for p, times in wanted.items() if len(creations.get(p, [])) < times]
    figures.none("prompts created too often", often)
    figures.none("prompts created too seldom", seldom)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rate", type=float, default=12, help="requests a second")
    parser.add_argument("--settle", type=float, default=3, help="settle time of a submit, seconds")
    parser.add_argument("--shared", type=int, default=0, help="how many prompts the jobs share")
    parser.add_argument("--refuse", type=float, default=0.05, help="share of webhooks refused")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commits", type=float, default=0, help="share of COMMITs without answer")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--life", type=float, default=3, help="seconds between kills at most")
    options = Options(**vars(parser.parse_args()))
    figures = asyncio.run(_bounded(options))
    figures.show()
    figures.write(RESULTS)
    sys.exit(0 if figures.reached else 1)


async def _bounded(options: Options) -> Figures:
    try:
        async with asyncio.timeout(options.kills * 8 + DRAIN_SECONDS_MAX + 120):
            return await measure(options)
    except Exception as error:
        figures = Figures(options.name)
        figures.equal("the run comes to its end", f"{type(error).__name__}: {error}", "yes")
        traceback.print_exception(error)
        return figures


if __name__ == "__main__":
    main()
