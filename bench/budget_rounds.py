"""Rounds of a budget of 100 jobs: workers create until they are refused, then every job ends.

Workers are forked processes over the store. Some are killed with SIGKILL in the middle of it: at a
chosen step of the round, so every planned kill strikes, however fast the machine is.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from bench.forked import Killing, fork
from bench.store_databases import execute, open_store
from bench.store_loads import new, now, spread
from reelhook.domain.budget import BudgetLimits, Demand, project_owner, refusal
from reelhook.domain.job import SUBMISSION_UNKNOWN, Job
from reelhook.domain.media import File, reference
from reelhook.domain.money import Money
from reelhook.domain.over_budget import OverBudgetError
from reelhook.domain.price import Price
from reelhook.domain.report import Cost, Failed, Finished
from reelhook.domain.request import VideoRequest
from reelhook.domain.reservation import Bill, BillOutcome, bill_of
from reelhook.ports import Change, JobFilter, NewJob
from reelhook.storage.operation import Database, Operation, Row, Statement, Target
from reelhook.storage.operations import reservations
from reelhook.storage.store import Store

PRICE = Price(0.37, "USD")
ROOM = 100
URL = "https://receiver.example/hook"
ENDINGS = (
    *("charged", "estimated", "failed", "failed_free", "refused", "canceled", "abandoned"),
    *("adopted", "no_image"),
)
UNPREPARED_SHARE = 0.3
"""The share of the jobs that wait for an image first."""
IMAGE = File("image/png", b"\x89PNG\r\n\x1a\n" + bytes(1000))
_CHARGE = Cost(0.21, "USD")
_SPENT = {"charged": 0.21, "estimated": 0.37, "failed": 0.37, "adopted": 0.37}


def project_of(number: int) -> str:
    return f"round_{number}"


def ending_of(job_id: str) -> str:
    """Return how a job ends: a kill changes nothing about it."""
    return Random(job_id).choice(ENDINGS)  # noqa: S311  # chooses endings, makes no keys


def is_unprepared(job_id: str) -> bool:
    """Return True if a job waits for an image first."""
    return Random(f"{job_id} image").random() < UNPREPARED_SHARE  # noqa: S311  # as above


def be_careless() -> None:
    """Read the sums, decide and then write them: right for one job at a time only."""
    checked = reservations._reserve

    def reserve(wanted: Sequence[Demand], now: int) -> Operation[list[Row]]:
        used: list[Row] = []
        for demand in wanted:
            used += yield Statement(reservations._USED, demand.key)
        if (error := refusal(wanted, reservations._by_key(used), now)) is not None:
            raise error
        return (yield from checked([replace(demand, most=None) for demand in wanted], now))

    reservations._reserve = reserve


# -- in the workers --------------------------------------------------------------------------------


async def prepare(target: Target, rounds: range) -> None:
    """Set the budgets of these rounds."""
    limits = BudgetLimits(money_per_day={PRICE.unit: ROOM * Money.of(PRICE).amount})
    async with open_store(target) as database:
        for number in rounds:
            owner = project_owner(project_of(number))
            await Store(database).set_budget(owner, limits, now(), bill_of)


async def fill(
    target: Target, number: int, worker: str, clients: int, at: int, killing: Killing
) -> None:
    """Create jobs with that many clients, each until it is refused."""
    async with open_store(target) as database:
        await _fill(Store(database), number, worker, clients, at, killing)


async def _fill(
    store: Store, number: int, worker: str, clients: int, at: int, killing: Killing
) -> None:
    async def create(made: NewJob) -> None:
        await store.create(made)

    async def client(name: int) -> None:
        for count in range(ROOM + 1):
            made = new(f"{project_of(number)}_{worker}_{name}_{count}", URL, at)
            since = at if is_unprepared(made.job.id) else None
            job = replace(made.job, project=project_of(number), unprepared_since=since)
            try:
                await killing.during(create(replace(made, job=job, prices=(PRICE,))))
            except OverBudgetError:
                return

    await spread([partial(client, name) for name in range(clients)], clients)


async def end(target: Target, number: int, found: Path, killing: Killing) -> None:
    """End every job of a round, and write what the database says then."""
    async with open_store(target) as database:
        store, project = Store(database), project_of(number)
        while jobs := await _open_jobs(store, project):
            await spread([partial(_end_counted, killing, store, job) for job in jobs], 32)
        rows = await execute(
            database,
            "SELECT id FROM jobs WHERE project = ?1 AND adopted_from IS NULL",
            project,
        )
        judged = {
            "accepted": len(rows),
            "spent_wanted": round(sum(_SPENT.get(ending_of(row[0]), 0) for row in rows), 6),
            **await _sums(database, project),
        }
        found.write_text(json.dumps(judged))


async def _sums(database: Database, project: str) -> dict[str, Any]:
    owner = project_owner(project)
    money = await execute(
        database,
        "SELECT reserved, spent FROM spending WHERE owner = ?1 AND unit = 'USD'",
        owner,
    )
    flying = await execute(
        database, "SELECT reserved FROM spending WHERE owner = ?1 AND period = 'now'", owner
    )
    left = await execute(database, "SELECT count(*) FROM reservations WHERE owner = ?1", owner)
    return {
        "reserved": [row[0] for row in money],
        "spent": [row[1] / 1_000_000 for row in money],
        "in_flight": flying[0][0],
        "left": left[0][0],
    }


async def _open_jobs(store: Store, project: str) -> list[Job]:
    """Return the jobs that have not ended, or are unresolved."""
    found, cursor = list[Job](), None
    while True:
        page = await store.jobs(JobFilter(project=project), 400, cursor)
        jobs = [listed.job for listed in page.jobs]
        found += [job for job in jobs if not job.status.terminal or job.in_doubt_now]
        if (cursor := page.next_cursor) is None:
            return found


async def _end_counted(killing: Killing, store: Store, job: Job) -> None:
    await killing.during(_end(store, job))


async def _end(store: Store, job: Job) -> None:
    at, ending = job.created_at, ending_of(job.id)
    if job.adopted_from is not None:
        await _record(store, job.apply(Finished("https://cdn.example/v"), at)[0])
    elif job.unprepared_since is not None and not job.status.terminal:
        await _end_preparing(store, job, ending)
    elif job.in_doubt_now:
        await _settle_doubt(store, job, ending)
    elif ending in {"abandoned", "adopted"}:
        await _record(store, job.submitting(at).fail(SUBMISSION_UNKNOWN, "Lost", at)[0])
    elif ending in {"refused", "no_image"}:
        await _record(store, job.submitting(at).fail("invalid_request", "No", at)[0])
    elif ending == "canceled":
        await _record(store, job.cancel(at, stopped=True)[0])
    else:
        there = job.submitting(at).accept(f"video_{job.id}", at)
        await _record_report(store, there, ending)


async def _end_preparing(store: Store, job: Job, ending: str) -> None:
    """Prepare a job, after which it is looked at again, or end it before that."""
    at = job.created_at
    if ending == "no_image":
        await _record(store, job.fail("image_unavailable", "404", at)[0])
    elif ending == "canceled":
        await _record(store, job.cancel(at, stopped=True)[0])
    else:
        await store.keep_files(job.project, [IMAGE], at)
        request = VideoRequest(prompt="", image=reference(IMAGE.hash))
        await store.record_prepared(job.prepared(at), request, None)


async def _record_report(store: Store, job: Job, ending: str) -> None:
    if ending == "failed_free":
        failed = job.apply(Failed("moderation", "No"), job.created_at)[0]
        await store.record([Change(failed, bill=Bill(BillOutcome.RELEASED))], None)
    elif ending == "failed":
        await _record(store, job.apply(Failed("moderation", "No"), job.created_at)[0])
    else:
        cost = _CHARGE if ending == "charged" else None
        finished = Finished("https://cdn.example/v", cost=cost)
        await _record(store, job.apply(finished, job.created_at)[0])


async def _settle_doubt(store: Store, job: Job, ending: str) -> None:
    if ending == "abandoned":
        await store.close_doubt(job.id, job.created_at)
        return
    made = new(f"{job.id}_adopted", URL, job.created_at)
    adopted = replace(made.job, project=job.project, adopted_from=job.id)
    adopted = adopted.accept(f"video_{job.id}", job.created_at)
    await store.create(replace(made, job=adopted, idempotency=None))


async def _record(store: Store, job: Job) -> None:
    await store.record([Change(job)], None)


# -- in the parent, which has neither threads nor a loop -------------------------------------------


@dataclass(slots=True)
class Rounds:
    """Plays rounds on one database. `processes` create at the same time."""

    target: Target
    folder: Path
    processes: int
    clients: int
    chance: Random
    killed: int = 0
    wrong: list[str] = field(default_factory=list)
    killing: Killing = field(default_factory=Killing)

    def play(self, number: int, *, kill: bool) -> None:
        """Play one round; with `kill`, a worker dies while jobs are created, or while they end."""
        at = now()
        works: list[Callable[[str], Coroutine[Any, Any, None]]] = [
            partial(self._fill, number, f"w{place}", at) for place in range(self.processes)
        ]
        early = self.chance.random() < 0.5
        self._run(works, kill=kill and early)
        found = self.folder / "found.json"
        found.unlink(missing_ok=True)
        self._run(
            [lambda _: end(self.target, number, found, self.killing)], kill=kill and not early
        )
        self._judge(number, json.loads(found.read_text()))

    def run_alone(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run one piece of work to its end."""
        self._run([lambda _: work()], kill=False)

    def _fill(self, number: int, worker: str, at: int, life: str) -> Coroutine[Any, Any, None]:
        name = f"{worker}{life}"
        return fill(self.target, number, name, self.clients, at, self.killing)

    def _run(self, works: list[Callable[[str], Coroutine[Any, Any, None]]], *, kill: bool) -> None:
        # Both halves of a round have at least as many steps as there are jobs.
        step = self.chance.randint(1, ROOM) if kill else 0
        self.killing.plan(step, self.chance)
        workers = {self._fork(partial(work, "a")): work for work in works}
        while workers:
            for pid in list(workers):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if not ended:
                    continue
                work = workers.pop(pid)
                if kill and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                    self.killed += 1
                    workers[self._fork(partial(work, "b"))] = work
                elif status:
                    said = (self.folder / "log").read_text()[-2000:]
                    raise RuntimeError(f"A worker failed: {said}")
            time.sleep(0.001)

    def _fork(self, work: Callable[[], Coroutine[Any, Any, None]]) -> int:
        return fork(work, log=self.folder / "log", seconds_max=60)

    def _judge(self, number: int, found: dict[str, Any]) -> None:
        spent = found["spent_wanted"]
        wanted = {
            "accepted": ROOM,
            "spent_wanted": spent,
            "reserved": [0, 0],
            "spent": [spent, spent],
            "in_flight": 0,
            "left": 0,
        }
        if found != wanted:
            self.wrong.append(f"round {number}: {found}")
