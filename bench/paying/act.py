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

from bench.paying.life import LOG, MODELS, OPENED, Life, Wish, start
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
TEXT_ONLY = "fal"
"""Its model takes no image."""
GONE_EVERY, CANCELED_EVERY = 10, 8
"""Every so many jobs have an image that can't be had, or are canceled at once."""
LIFE_SECONDS = (0.1, 1.2)
OPENED_SHARE = 0.75
"""The share of workers that live so long from the time when they have started."""
OPENED_SECONDS_MAX = 30.0


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
    unprepared_since: int | None
    charged_amount: float | None
    charged_unit: str | None
    estimated_amount: float | None
    estimated_unit: str | None


@dataclass(frozen=True, slots=True)
class Money:
    """The budget in the end: millionths of USD in the month, and the jobs in flight.

    `kept` is the sum of the reservations that are left.
    """

    reserved: int
    spent: int
    in_flight: int
    kept: int


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an act. `told` is the upstream's; `cut_off`: paid calls under way at kills.

    `fetching`: jobs whose image was being fetched at kills.
    """

    wishes: tuple[Wish, ...]
    jobs: tuple[Found, ...]
    told: dict[str, Any]
    kills: int
    cut_off: Counter[str]
    fetching: Counter[str]
    money: Money
    troubles: list[str]
    listing: Listing


def wishes(plan: Plan) -> tuple[Wish, ...]:
    """All that is asked for, in a random order behind the first ones of each provider."""
    made = [
        Wish(
            f"{name}-{n}",
            name,
            f"{_video(n, plan.seed)} of a cafe\u0301 & lighthouse, {name} {plan.seed:06}",
            *_with_image(name, n),
        )
        for n in range(plan.jobs)
        for name in MODELS
    ]
    rest = made[WARM_UP * len(MODELS) :]
    Random(plan.seed).shuffle(rest)  # noqa: S311  # makes no keys
    return (*made[: WARM_UP * len(MODELS)], *rest)


def _with_image(provider: str, number: int) -> tuple[str | None, bool]:
    """Return the path of a job's image, and whether the job is canceled at once."""
    if number <= WARM_UP or provider == TEXT_ONLY or not number % TWINS or not number % 2:
        return None, False
    name = "gone" if number % GONE_EVERY == 3 else "flaky"
    return f"/images/{name}-{number}.png", number % CANCELED_EVERY == 7


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
        kills, cut_off, fetching = _kill_often(life, plan, troubles)
        told = _asked(upstream, "GET", "/mischief/told")
    jobs, money = _jobs(life), _money(life)
    log = folder / LOG
    troubles += _errors(log, plan) if log.exists() else []
    if not troubles:
        shutil.rmtree(folder)
    return Result(every, jobs, told, kills, cut_off, fetching, money, troubles, plan.listing)


_FOUND = """
SELECT provider, script, status, code, provider_job_id, doubt_since, unprepared_since,
  charged_amount, charged_unit, estimated_amount, estimated_unit FROM jobs
"""
_MONEY = """
SELECT coalesce(sum(CASE WHEN unit = 'USD' AND length(period) = 7 THEN reserved END), 0),
  coalesce(sum(CASE WHEN unit = 'USD' AND length(period) = 7 THEN spent END), 0),
  coalesce(sum(CASE WHEN period = 'now' THEN reserved END), 0),
  (SELECT coalesce(sum(amount), 0) FROM reservations)
FROM spending
"""


def _errors(log: Path, plan: Plan) -> list[str]:
    """Return what workers logged as errors, but for responses to COMMIT that are lost by plan."""
    lines = log.read_text().splitlines()
    return [one for one in lines if not (plan.commits and '"commit.unknown"' in one)]


def _kill_often(
    life: Life, plan: Plan, troubles: list[str]
) -> tuple[int, Counter[str], Counter[str]]:
    chance = Random(plan.seed)  # noqa: S311  # makes no keys
    cut_off: Counter[str] = Counter()
    fetching: Counter[str] = Counter()
    for kill in range(plan.kills):
        if kill == plan.kills // 2:
            life = _moved(life, plan.listing)
        pid = start(life)
        if chance.random() < OPENED_SHARE:
            _wait_until_opened(life)
        time.sleep(chance.uniform(*LIFE_SECONDS))
        os.kill(pid, signal.SIGKILL)
        status = _end_of(pid)
        if status != -signal.SIGKILL:  # it was done before
            troubles += _trouble(f"worker {kill}", status, 0)
            return kill, cut_off, fetching
        jobs = _jobs(life)
        cut_off.update(one.provider for one in jobs if _under_way(one))
        fetching.update(one.provider for one in jobs if _is_unprepared(one))
    troubles += _trouble("the last worker", _end_of(start(life)), 0)
    return plan.kills, cut_off, fetching


def _wait_until_opened(life: Life) -> None:
    end = time.monotonic() + OPENED_SECONDS_MAX
    while not (life.folder / OPENED).exists() and time.monotonic() < end:
        time.sleep(0.01)


def _moved(life: Life, listing: Listing) -> Life:
    """Give the accounts another key, or call the same server by another name."""
    if listing is Listing.NEW_KEY:
        return replace(life, key="bench-2")
    if listing is Listing.NEW_SERVER:
        return replace(life, upstream_url=life.upstream_url.replace("127.0.0.1", "localhost"))
    return life


def _under_way(job: Found) -> bool:
    return job.status == "submitting" and job.doubt_since is None


def _is_unprepared(job: Found) -> bool:
    return job.status == "accepted" and job.unprepared_since is not None


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
    return tuple(Found(*row) for row in _read(life, _FOUND))


def _money(life: Life) -> Money:
    return Money(*map(int, _read(life, _MONEY)[0]))


def _read(life: Life, statement: str) -> list[Any]:
    if isinstance(life.target, str):
        return asyncio.run(_rows(life.target, statement))
    with closing(apsw.Connection(str(life.target))) as database:
        database.set_busy_timeout(5000)
        return list(database.execute(statement))


async def _rows(url: str, statement: str) -> list[Any]:
    connection = await postgres.connect(url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()
