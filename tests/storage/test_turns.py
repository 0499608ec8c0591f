"""The order in which waiting jobs are created: turns of projects, then priority, then age."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from reelhook.domain.job import Job
from reelhook.domain.priority import Priority
from reelhook.domain.turns import STEP, Line, QueueKey, Turns
from reelhook.ports import NewJob
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import ACCOUNT, NOW, change, moved, new, submitting

LATER = NOW + 10_000
ADD_PROJECT = "INSERT INTO projects (id, name, created_at, weight) VALUES"
ADD_TURN = "INSERT INTO turns (account, project, turn) VALUES"


def waiting(
    job_id: str,
    *,
    at: int = NOW,
    priority: Priority = Priority.NORMAL,
    account: str = ACCOUNT,
) -> NewJob:
    """A job of the project that its id begins with."""
    made = new(job_id, at=at, account=account)
    return replace(made, job=replace(made.job, project=job_id[0], priority=int(priority)))


async def due(store: Store, limit: int = 99) -> list[str]:
    return [one.job.id for one in (await store.jobs_to_submit(ACCOUNT, LATER, limit))[0]]


async def begin(store: Store, count: int) -> list[str]:
    """Begin the creates of the next jobs, in one transaction."""
    found, _ = await store.jobs_to_submit(ACCOUNT, LATER, count)
    intents = [change((one.job.taken_over(ACCOUNT).submitting(LATER), ())) for one in found]
    return await store.record(intents, None)


async def places(store: Store, ids: Sequence[str]) -> list[str]:
    """Return the jobs by their place in the queue."""
    ahead = {job_id: await store.jobs_ahead((await store.job(job_id)).job) for job_id in ids}
    assert sorted(ahead.values()) == list(range(len(ids)))
    return sorted(ids, key=ahead.__getitem__)


async def test_projects_take_turns_then_priority_decides_then_age(store: Store) -> None:
    for number in range(4):
        await store.create(waiting(f"a{number}", at=NOW + number))
    await store.create(waiting("a_high", at=NOW + 8, priority=Priority.HIGH))
    await store.create(waiting("a_low", at=NOW - 8, priority=Priority.LOW))
    for number in range(2):
        await store.create(waiting(f"b{number}", at=NOW + 100 + number))
    expected = ["a_high", "b0", "a0", "b1", "a1", "a2", "a3", "a_low"]
    assert await due(store) == expected
    assert await due(store, 3) == expected[:3]
    assert await places(store, expected) == expected


async def test_a_turn_that_was_taken_is_known_to_every_worker_and_after_a_restart(
    store: Store,
) -> None:
    for number in range(6):
        await store.create(waiting(f"a{number}", at=NOW + number))
    assert await begin(store, 2) == ["a0", "a1"]
    for number in range(3):
        await store.create(waiting(f"b{number}", at=NOW + 100 + number))
    expected = ["b0", "a2", "b1", "a3", "b2", "a4", "a5"]
    assert await places(store, expected) == expected
    begun = list[str]()
    while (more := await begin(store, 1)) != []:
        begun += more
    assert begun == expected


async def test_jobs_begin_in_the_foretold_order_in_batches_of_any_size(store: Store) -> None:
    for number in range(9):
        await store.create(waiting(f"a{number}", at=NOW + number))
    for number in range(4):
        await store.create(waiting(f"b{number}", at=NOW + number))
    for number in range(2):
        await store.create(waiting(f"c{number}", at=NOW - number, priority=Priority.LOW))
    foretold = await due(store)
    assert await places(store, foretold) == foretold
    begun = list[str]()
    for size in (1, 3, 2, 9):
        begun += await begin(store, size)
    assert begun == foretold


async def test_a_project_with_a_greater_weight_has_more_turns(store: Store, sql: Sql) -> None:
    await sql(f"{ADD_PROJECT} ('b', 'b', 1, 2)")
    for number in range(4):
        await store.create(waiting(f"a{number}", at=NOW + number))
        await store.create(waiting(f"b{number}", at=NOW + 100 + number))
    expected = ["a0", "b0", "b1", "a1", "b2", "b3", "a2", "a3"]
    assert await due(store) == await places(store, expected) == expected


async def test_a_job_that_is_not_due_gives_its_turn_to_the_next(store: Store) -> None:
    job = await submitting(store, waiting("a0"))
    await moved(store, (job.submit_again(LATER + 1, NOW), ()))
    await store.create(waiting("a1"))
    await store.create(waiting("b0", at=NOW + 1))
    assert await due(store) == ["b0", "a1"]


async def test_a_sibling_takes_jobs_by_its_own_turns(store: Store) -> None:
    for number in range(3):
        await store.create(waiting(f"a{number}", account="full", at=NOW + number))
        await store.create(waiting(f"b{number}", account="fuller", at=NOW + 100 + number))
    idle = LATER
    others = ["full", "fuller"]
    found = await store.jobs_waiting_elsewhere("free", others, idle, 99)
    assert [one.job.id for one in found] == ["a0", "b0", "a1", "b1", "a2", "b2"]
    for one in found[:1]:
        await store.record([change((one.job.taken_over("free").submitting(LATER), ()))], None)
    found = await store.jobs_waiting_elsewhere("free", others, idle, 99)
    assert [one.job.id for one in found] == ["b0", "a1", "b1", "a2", "b2"]


# -- against a plain computation that reads every waiting job --------------------------------------

ACCOUNTS = ("near", "far")
PROJECTS = "abcdefghijkl"
LIMITS = (1, 2, 3, 5, 8, 13, 40, 200)


async def crowd(store: Store, sql: Sql, chance: Random) -> tuple[Turns, list[Job]]:
    """Let many jobs wait. Return them, and the turns at the account `near`."""
    lines, made = list[Line](), list[NewJob]()
    for project in PROJECTS:
        line = Line(project, chance.choice((None, 0, STEP, 3 * STEP)), chance.choice((1, 1, 2, 7)))
        await sql(f"{ADD_PROJECT} (?1, ?1, 1, ?2)", project, line.weight)
        if line.turn is not None:
            await sql(f"{ADD_TURN} ('near', ?1, ?2)", project, line.turn)
        lines.append(line)
        for number in range(chance.choice((0, 1, 2, 30))):
            account, priority = chance.choice(ACCOUNTS), chance.choice(list(Priority))
            at = NOW + chance.randrange(4)
            made.append(waiting(f"{project}{number}", at=at, priority=priority, account=account))
    await asyncio.gather(*map(store.create, made))
    latest = max(line.turn or 0 for line in lines)
    return Turns(lines, latest), [one.job for one in made]


def plain(turns: Turns, jobs: Sequence[Job]) -> list[str]:
    """Return the jobs in turn, from all of them."""
    placed = list[tuple[int, QueueKey]]()
    for project in PROJECTS:
        keys = sorted(
            QueueKey(-job.priority, job.created_at, job.id)
            for job in jobs
            if job.project == project
        )
        placed += [(turns.place(project, number), key) for number, key in enumerate(keys)]
    return [key.job_id for _, key in sorted(placed)]


@pytest.mark.parametrize("seed", range(4))
async def test_a_look_that_reads_little_finds_the_same_as_one_that_reads_all(
    store: Store, sql: Sql, seed: int
) -> None:
    turns, jobs = await crowd(store, sql, Random(seed))
    here = plain(turns, [job for job in jobs if job.account == "near"])
    anywhere = plain(turns, jobs)
    for limit in LIMITS:
        due, _ = await store.jobs_to_submit("near", LATER, limit)
        assert [one.job.id for one in due] == here[:limit]
        found = await store.jobs_waiting_elsewhere("near", ACCOUNTS, LATER, limit)
        assert [one.job.id for one in found] == anywhere[:limit]
    assert await places(store, here) == here


async def test_a_doubt_takes_no_turn(store: Store, sql: Sql) -> None:
    job = await submitting(store, waiting("a0"))
    before = await sql("SELECT * FROM turns")
    job = await moved(store, (job.in_doubt(NOW), ()))
    await moved(store, job.fail("submission_unknown", "unknown", NOW))
    assert await sql("SELECT * FROM turns") == before == [(ACCOUNT, "a", 0)]
