"""One act: an upstream, one database, and workers on it that are killed one after another."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Any

import apsw

from bench.paying.life import LOG, MODELS, Life, Wish, start
from bench.paying.listings import Listing
from bench.paying.mischief import REFUSED_VIDEO
from bench.processes import Stub
from reelhook.storage.postgres import driver as postgres

REFUSED_EVERY = 3
"""Every so many acts one job of each provider is refused as often as it is sent."""
WARM_UP = 2
"""Jobs of each provider that nothing befalls: a listing is believed once it has shown ours."""
TWINS = 5
"""Every so many jobs have one and the same prompt."""
LIFE_SECONDS = (0.1, 1.2)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many jobs of each provider, at most how many kills, and how often creates go wrong.

    `careless`: by workers with a known fault, see `Life`. `database_url` None: on SQLite.
    `commits`: how often the response to a COMMIT is lost, from 0 to 1.
    """

    seed: int
    jobs: int
    kills: int
    rate: float
    careless: bool = False
    listing: Listing = Listing.PLAIN
    database_url: str | None = None
    commits: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """A job as the database has it in the end."""

    provider: str
    prompt: str
    status: str
    code: str | None
    provider_job_id: str | None
    doubt_since: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an act. `told` is the upstream's; `cut_off`: paid calls under way at kills."""

    wishes: tuple[Wish, ...]
    jobs: tuple[Found, ...]
    told: dict[str, Any]
    kills: int
    cut_off: Counter[str]
    troubles: list[str]
    listing: Listing


def wishes(plan: Plan) -> tuple[Wish, ...]:
    """All that is asked for, in a random order behind the first ones of each provider."""
    made = [
        Wish(
            f"{name}-{n}",
            name,
            f"{_video(n, plan.seed)} of a cafe\u0301 & lighthouse, {name} {plan.seed:06}",
        )
        for n in range(plan.jobs)
        for name in MODELS
    ]
    rest = made[WARM_UP * len(MODELS) :]
    Random(plan.seed).shuffle(rest)  # noqa: S311  # makes no keys
    return (*made[: WARM_UP * len(MODELS)], *rest)


def _video(number: int, seed: int) -> str:
    if number == WARM_UP and seed % REFUSED_EVERY == 1:
        return REFUSED_VIDEO
    return f"Video {number:05}" if number % TWINS or number < WARM_UP else "One of several videos"


def carry_out(plan: Plan, folder: Path) -> Result:
    """Play an act. The folder stays only if a worker said that something went wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with closing(Stub("bench.paying.upstream", "--seed", str(plan.seed))) as upstream:
        every = wishes(plan)
        life = Life(
            folder,
            upstream.url,
            every,
            plan.seed,
            plan.careless,
            database_url=plan.database_url,
            commits=plan.commits,
        )
        _asked(upstream, "PATCH", "/simulator/faults", plan.listing.faults)
        warm = replace(life, wishes=every[: WARM_UP * len(MODELS)], careless=False)
        troubles = _trouble("the warm-up", _end_of(start(warm)), 0)
        _asked(upstream, "PUT", "/mischief/rate", {"rate": plan.rate})
        kills, cut_off = _kill_often(life, plan, troubles)
        told = _asked(upstream, "GET", "/mischief/told")
    jobs = _jobs(life)
    log = folder / LOG
    troubles += _errors(log, plan) if log.exists() else []
    if not troubles:
        shutil.rmtree(folder)
    return Result(every, jobs, told, kills, cut_off, troubles, plan.listing)


def _errors(log: Path, plan: Plan) -> list[str]:
    """Return what workers logged as errors, but for responses to COMMIT that are lost by plan."""
    lines = log.read_text().splitlines()
    return [one for one in lines if not (plan.commits and '"commit.unknown"' in one)]


def _kill_often(life: Life, plan: Plan, troubles: list[str]) -> tuple[int, Counter[str]]:
    chance = Random(plan.seed)  # noqa: S311  # makes no keys
    cut_off: Counter[str] = Counter()
    for kill in range(plan.kills):
        if kill == plan.kills // 2:
            life = _moved(life, plan.listing)
        pid = start(life)
        time.sleep(chance.uniform(*LIFE_SECONDS))
        os.kill(pid, signal.SIGKILL)
        status = _end_of(pid)
        if status != -signal.SIGKILL:  # it was done before
            troubles += _trouble(f"worker {kill}", status, 0)
            return kill, cut_off
        cut_off.update(one.provider for one in _jobs(life) if _under_way(one))
    troubles += _trouble("the last worker", _end_of(start(life)), 0)
    return plan.kills, cut_off


def _moved(life: Life, listing: Listing) -> Life:
    """Give the accounts another key, or call the same server by another name."""
    if listing is Listing.NEW_KEY:
        return replace(life, key="bench-2")
    if listing is Listing.NEW_SERVER:
        return replace(life, upstream_url=life.upstream_url.replace("127.0.0.1", "localhost"))
    return life


def _under_way(job: Found) -> bool:
    return job.status == "submitting" and job.doubt_since is None


def _trouble(who: str, status: int, wanted: int) -> list[str]:
    return [] if status == wanted else [f"{who} ended by itself: {status}"]


def _end_of(pid: int) -> int:
    """Wait for a process; return its exit code, or the signal that ended it below zero."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _asked(upstream: Stub, method: str, path: str, content: object = None) -> Any:
    with closing(HTTPConnection("127.0.0.1", upstream.ports[0])) as connection:
        connection.request(method, path, json.dumps(content))
        return json.load(connection.getresponse())


def _jobs(life: Life) -> tuple[Found, ...]:
    asked = "SELECT provider, script, status, code, provider_job_id, doubt_since FROM jobs"
    if isinstance(life.target, str):
        return tuple(Found(*row) for row in asyncio.run(_rows(life.target, asked)))
    with closing(apsw.Connection(str(life.target))) as database:
        database.set_busy_timeout(5000)
        return tuple(Found(*row) for row in database.execute(asked))


async def _rows(url: str, statement: str) -> list[Any]:
    connection = await postgres.connect(url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()
