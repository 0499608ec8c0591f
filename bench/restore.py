"""A copy in the middle, `kill -9`, and a start on the copy: `python -m bench.restore --rounds 20`.

The receivers know more than the copy. Of the endings that it sends none may be dropped, neither by
the receivers of `docs/receivers.md`, which compare sequences, nor by one that goes by webhook-id;
nothing may be created twice. Exits 1 otherwise.
"""

import argparse
import asyncio
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from bench.clusters import Cluster, cluster
from bench.figures import Figures
from bench.processes import REELHOOK
from bench.stage import RESULTS, TERMINAL, Request, Stage, stage, until

ENDPOINTS = 8
POST_PAUSE_SECONDS = 0.04
DRAIN_SECONDS_MAX = 120.0
STARTS_MAX = 3
ENVIRONMENT = {
    "REELHOOK_POLL_SECONDS": "0.25",
    "REELHOOK_SUBMIT_SETTLE_SECONDS": "2",
    "REELHOOK_RETRY_SCHEDULE": "1s,1s,1s,1s,1s,1s",
}
UPSTREAM: dict[str, Any] = {
    "latency_ms": 200,
    "finish_after_seconds": 4.0,
    "progress_seconds": 0.3,
    "late_creates": 0.5,
    "faults": {"create": {"429": 0.3}},  # so that some wait to be created when the copy is taken
}


@dataclass(slots=True)
class Receiver:
    """What a receiver does with each webhook that arrives, in order.

    By `sequence`, as in `docs/receivers.md`; or by `webhook-id`, which is dropped when it is known.
    """

    sequences: dict[str, int] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)

    def take(self, arrival: dict[str, Any]) -> tuple[bool, bool]:
        """Return whether it is news by its sequence, and by its id."""
        event, webhook_id = arrival["event"], arrival["headers"]["webhook-id"]
        by_sequence = event["sequence"] > self.sequences.get(event["jobId"], 0)
        by_id = webhook_id not in self.bodies
        if by_sequence:
            self.sequences[event["jobId"]] = event["sequence"]
        self.bodies.setdefault(webhook_id, arrival["body"])
        return by_sequence, by_id


@dataclass(slots=True)
class Totals:
    """What was seen in all rounds."""

    endings: int = 0
    repeats: int = 0
    """Endings that had arrived before the kill, sent again: same id, same bytes."""
    dropped_by_sequence: list[str] = field(default_factory=list)
    dropped_by_id: list[str] = field(default_factory=list)
    two_bodies: list[str] = field(default_factory=list)
    created_twice: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    in_copy: int = 0
    unfinished_in_copy: int = 0
    unknown: int = 0
    unknown_to_copy: int = 0
    unrecognized: list[str] = field(default_factory=list)


# -- databases -------------------------------------------------------------------------------------


class Files:
    """A SQLite database: copied by `reelhook backup` or by SQLite, put back in several ways."""

    name = "sqlite"

    def environment(self) -> dict[str, str]:
        return {}

    async def copy(self, here: Stage, number: int) -> None:
        source, target = _database(here), here.folder / "copy.db"
        if number % 2 == 0:
            process = await asyncio.create_subprocess_exec(
                str(REELHOOK), "backup", str(target), env=here.server.environment
            )
            if await process.wait():
                raise RuntimeError("reelhook backup failed")
            return
        await asyncio.to_thread(_back_up, source, target)

    async def put_back(self, here: Stage, number: int) -> None:
        target = _database(here)
        for suffix in ("-wal", "-shm"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        match number % 3:
            case 0:
                (here.folder / "copy.db").replace(target)
            case 1:  # into the same file
                target.write_bytes((here.folder / "copy.db").read_bytes())
            case _:  # where nothing else is left
                shutil.rmtree(target.parent)
                target.parent.mkdir()
                (here.folder / "copy.db").replace(target)


def _database(here: Stage) -> Path:
    return Path(here.server.environment["REELHOOK_DATA_DIR"]) / "reelhook.db"


def _back_up(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


class Dumps:
    """A database of PostgreSQL's, copied by pg_dump and put back by pg_restore."""

    name = "postgresql"

    def __init__(self, server: Cluster) -> None:
        self._server = server
        self._rounds = 0
        self._at = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres")

    def environment(self) -> dict[str, str]:
        self._rounds += 1
        self._server.run("createdb", *self._at, self._database)
        server, _, _ = self._server.url.rpartition("/")
        return {"DATABASE_URL": f"{server}/{self._database}"}

    @property
    def _database(self) -> str:
        return f"round_{self._rounds}"

    @property
    def _dump(self) -> str:
        return str(self._server.folder / f"{self._database}.dump")

    async def copy(self, here: Stage, number: int) -> None:
        await asyncio.to_thread(
            self._server.run, "pg_dump", *self._at, "-Fc", "-f", self._dump, self._database
        )

    async def put_back(self, here: Stage, number: int) -> None:
        if number % 2 == 0:
            self._server.run("dropdb", *self._at, "--force", self._database)
            self._server.run("createdb", *self._at, self._database)
            more: tuple[str, ...] = ()
        else:  # into the same database
            more = ("--clean", "--if-exists")
        await asyncio.to_thread(
            self._server.run, "pg_restore", *self._at, *more, "-d", self._database, self._dump
        )


@contextmanager
def databases(name: str) -> Iterator[Files | Dumps]:
    if name == Files.name:
        yield Files()
        return
    with cluster() as server:
        yield Dumps(server)


# -- a round ---------------------------------------------------------------------------------------


async def play(database: Files | Dumps, number: int, jobs: int, totals: Totals) -> None:
    """Play one round: half of the jobs, the copy, the other half, the kill, the copy's life."""
    chance = Random(number)  # noqa: S311 - chooses moments, makes no keys
    name = f"restore-{database.name}-{number}"
    async with stage(name, ENVIRONMENT | database.environment()) as here:
        await here.set_upstream(**UPSTREAM)
        await _started(here)
        requests = [here.request(one % ENDPOINTS, f"restore {one}") for one in range(jobs)]
        await _post(here, requests[: jobs // 2])
        await asyncio.sleep(chance.uniform(0, 1.5))
        copying = asyncio.create_task(database.copy(here, number))
        await _post(here, requests[jobs // 2 :])
        await copying
        await asyncio.sleep(chance.uniform(0, 3))
        here.server.kill()
        before = await here.arrivals()
        await database.put_back(here, number)
        await _started(here)
        await _ended(here, totals)
        _judge(before, (await here.arrivals())[len(before) :], totals)
        await _judge_jobs(here, requests, totals)
        if "database.restored" not in here.server.log.read_text(errors="replace"):
            totals.unrecognized.append(name)
    shutil.rmtree(RESULTS / name, ignore_errors=True)


async def _started(here: Stage) -> None:
    """Start the server; a busy machine gets longer than one that measures it."""
    here.server.spawn()
    for left in reversed(range(STARTS_MAX)):
        try:
            await here.server.ready()
        except RuntimeError:
            if not left or not here.server.running:
                raise
            here.server.spawned_at = time.monotonic()
        else:
            return


async def _post(here: Stage, requests: Sequence[Request]) -> None:
    for request in requests:
        await here.submit(request)
        await asyncio.sleep(POST_PAUSE_SECONDS)


async def _ended(here: Stage, totals: Totals) -> None:
    """Wait until every job of the copy has ended, and its webhooks have arrived."""
    first = await here.jobs()
    totals.in_copy += len(first)
    totals.unfinished_in_copy += sum(one["status"] not in _ENDED for one in first)

    async def over() -> bool:
        jobs = await here.jobs()
        page = await here.get(f"{here.server.url}/api/deliveries", state="waiting", limit="1")
        return all(one["status"] in _ENDED for one in jobs) and not page["deliveries"]

    if not await until(over, seconds=DRAIN_SECONDS_MAX, every=0.3):
        left = [one for one in await here.jobs() if one["status"] not in _ENDED]
        page = await here.get(f"{here.server.url}/api/deliveries", state="waiting", limit="3")
        totals.unfinished.append(f"{here.folder.name}: {left[:3]} {page['deliveries']}")


_ENDED = TERMINAL | {"canceled"}


def _judge(
    before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], totals: Totals
) -> None:
    receiver = Receiver()
    for arrival in before:
        receiver.take(arrival)
    for arrival in after:
        webhook_id = arrival["headers"]["webhook-id"]
        known = receiver.bodies.get(webhook_id)
        by_sequence, by_id = receiver.take(arrival)
        words = f"{webhook_id} {arrival['body'][:200]}"
        if known is not None and known != arrival["body"]:
            totals.two_bodies.append(words)
        if arrival["event"]["status"] not in TERMINAL:
            continue
        if known == arrival["body"]:
            totals.repeats += 1
            continue
        totals.endings += 1
        if not by_sequence:
            totals.dropped_by_sequence.append(words)
        if not by_id:
            totals.dropped_by_id.append(words)


async def _judge_jobs(here: Stage, requests: Sequence[Request], totals: Totals) -> None:
    jobs = await here.jobs()
    totals.unknown += sum(one["code"] == "submission_unknown" for one in jobs)
    totals.unknown_to_copy += len(requests) - len(jobs)
    for prompt, ids in (await here.creations()).items():
        if len(ids) > 1:
            totals.created_twice.append(f"{here.folder.name}: {prompt}: {ids}")


# -- all rounds ------------------------------------------------------------------------------------


async def measure(name: str, rounds: int, jobs: int, tell: Callable[[str], None]) -> Figures:
    figures, totals = Figures(f"restore-{name}"), Totals()
    started = time.monotonic()
    with databases(name) as database:
        for number in range(rounds):
            await play(database, number, jobs, totals)
            tell(f"{name}: round {number + 1} of {rounds}, {totals.endings} endings by copies")
    figures.tell("rounds, jobs in each", f"{rounds}, {jobs}")
    figures.tell("seconds", f"{time.monotonic() - started:.0f}")
    jobs_of_copies = f"{totals.in_copy}, {totals.unfinished_in_copy}"
    figures.tell("jobs of the copies, unfinished at their start", jobs_of_copies)
    figures.tell("jobs created after the copy", totals.unknown_to_copy)
    figures.at_least("endings that the copies sent", totals.endings, 1)
    figures.tell("the same ending sent again, same id and bytes", totals.repeats)
    figures.none("endings dropped by a receiver of the docs", totals.dropped_by_sequence)
    figures.none("endings dropped by one that goes by webhook-id", totals.dropped_by_id)
    figures.none("webhook-ids with two bodies", totals.two_bodies)
    figures.none("prompts created twice", totals.created_twice)
    figures.none("rounds with jobs or webhooks left", totals.unfinished)
    figures.none("copies that did not know what they are", totals.unrecognized)
    figures.tell("jobs that wait for a person (submission_unknown)", totals.unknown)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=80)
    parser.add_argument("--database", choices=(Files.name, Dumps.name), action="append")
    given = parser.parse_args()
    reached = True
    for name in given.database or (Files.name, Dumps.name):
        figures = asyncio.run(measure(name, given.rounds, given.jobs, _tell))
        figures.show()
        figures.write(RESULTS)
        reached = reached and figures.reached
    sys.exit(0 if reached else 1)


def _tell(words: str) -> None:
    sys.stderr.write(f"{words}\n")


if __name__ == "__main__":
    main()
