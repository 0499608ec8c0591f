"""Frequent statements use indexes, however much waits. Plans and steps are checked, never times."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.client_call import ClientCall
from reelhook.domain.delivery import Attempt
from reelhook.domain.endpoint import lane_of
from reelhook.domain.event import Event, EventKind, WireStatus
from reelhook.domain.job import Job, Status
from reelhook.ports import ClientTry, DeliveryFilter, JobFilter, Resend, Settlement
from reelhook.storage.operation import Operation, Statement, StatementBatch, statements_of
from reelhook.storage.operations import (
    client_calls,
    delivery_log,
    delivery_writes,
    due,
    endpoint_reads,
    endpoint_writes,
    event_feed,
    job_reads,
    job_writes,
    resends,
    submit_queue,
)
from reelhook.storage.operations.rows import STATE_COLUMNS, state_of
from reelhook.storage.sqlite.driver import connect
from reelhook.storage.sqlite.group_commit import run

from .crowds import crowd
from .samples import ACCOUNT, ENDPOINT, NOW, REFUSED, SCHEDULE, flat, new

WAITING = 20_000
LOUD, BEFORE, BEHIND = "ep_loud", "ep_a03", "ep_z13"
"""Endpoints of one lane; the loud one is between the others."""
OWNER = "default"
"""The project of all these jobs."""
LATE = NOW + WAITING
RETRY = ClientTry("default", ClientCall("videos", "body", 1), "call_1", NOW)
UNCOUNTED = replace(RETRY, call=ClientCall("videos", "body", None), process="worker")
FEW_STEPS = 300
"""Of ten instructions each: what an operation may take that touches a few dozen rows."""


@pytest.fixture(scope="module")
def crowded(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with very many waiting deliveries at one endpoint, and few at the others."""
    assert lane_of(LOUD) == lane_of(BEFORE) == lane_of(BEHIND)
    path = Path(shutil.copy(migrated, tmp_path_factory.mktemp("crowded")))
    connection = connect(path, read_only=False)
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        for name in (LOUD, BEFORE, BEHIND):
            run(connection, endpoint_writes.create(replace(ENDPOINT, id=name)))
        run(connection, crowd(LOUD, WAITING, at=NOW, prefix="loud_"))
        run(connection, crowd(BEFORE, 8, at=NOW, prefix="before_"))
        run(connection, crowd(BEHIND, 8, at=NOW, prefix="behind_"))
    connection.close()
    return path


@pytest.fixture
def connection(crowded: Path) -> Iterator[apsw.Connection]:
    """The crowded database; what is written to it is undone."""
    connection = connect(crowded, read_only=False)
    connection.execute("BEGIN")
    yield connection
    connection.execute("ROLLBACK")
    connection.close()


def steps(connection: apsw.Connection, operation: Operation[Any]) -> int:
    """Run an operation; return how many steps of ten instructions that took."""
    counted = list[None]()
    connection.set_progress_handler(lambda: bool(counted.append(None)), 10)  # type: ignore[func-returns-value] # False: go on
    run(connection, operation)
    connection.set_progress_handler(None)
    return len(counted)


def plan(connection: apsw.Connection, operation: Operation[Any]) -> list[str]:
    """Run an operation; return how the database goes about each of its statements."""
    told: list[str] = []
    rows: Any = None
    while True:
        try:
            asked = operation.send(rows)
        except StopIteration:
            return told
        answers = []
        for one in statements_of(asked):
            explained = connection.execute(f"EXPLAIN QUERY PLAN {one.sql}", one.parameters)
            told += [str(row[3]) for row in explained]
            answers.append(connection.execute(one.sql, one.parameters).fetchall())
        rows = answers if isinstance(asked, StatementBatch) else answers[0]


def whole_walks(told: list[str]) -> list[str]:
    """Return those steps of a plan that walk through a whole table, or sort what they found."""
    chosen = {f"SCAN {one.removeprefix('CO-ROUTINE ')}" for one in told if "CO-ROUTINE" in one}
    chosen |= {
        f"SCAN {one.removeprefix('MATERIALIZE ')} LEFT-JOIN" for one in told if "MATERIAL" in one
    }
    chosen |= {one for one in told if one.endswith("CONSTANT ROWS")}
    return [
        one
        for one in told
        if (
            one.startswith("SCAN")
            and "INDEX" not in one
            and "CONSTANT" not in one
            and one not in chosen
        )
        or "ORDER" in one
    ]


_CROWD = (
    "INSERT INTO jobs ({}) WITH RECURSIVE numbers(n) AS"
    " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?{}) SELECT {} FROM numbers"
)


def job_crowd(project: str, jobs: int) -> Operation[None]:
    """Let so many jobs of a project wait for one account."""
    job = replace(new("job").job, project=project, external_id="7", code="quota")
    values = {name: f"?{number}" for number, name in enumerate(STATE_COLUMNS, start=1)}
    values |= {"id": f"{values['project']} || n", "script": "''", "title": "''"}
    values |= {"render_version": "'v3'"}
    count = len(STATE_COLUMNS) + 1
    yield Statement(
        _CROWD.format(", ".join(values), count, ", ".join(values.values())),
        (*state_of(job), jobs),
    )
    yield Statement(
        "INSERT INTO job_metadata (name, value, created_at, job_id, project)"
        " SELECT 'order', '7', created_at, id, project FROM jobs WHERE project = ?1",
        (project,),
    )


def settling() -> Operation[Any]:
    """Record the last failure of an attempt, and reopen its endpoint."""
    attempt = Attempt(1, "evt_loud_1_1", 1, 1, LATE, REFUSED)

    def decide(current: Any) -> Any:
        current = replace(current, attempts=len(SCHEDULE.waits_seconds))
        return current.settle(1, REFUSED, LATE, probe=False, schedule=SCHEDULE, random=Random(1))

    healthy = replace(ENDPOINT, id=LOUD, health=CircuitBreaker(ramp=1))
    return delivery_writes.settle(Settlement(attempt, decide, healthy, reopened=True))


def finding(busy: frozenset[str]) -> Operation[Any]:
    return due.due(LATE, per_endpoint=4, limit=100, busy=busy)


def offering() -> Operation[Any]:
    event = Event("loud_7", 2, EventKind.STATUS, WireStatus.QUEUED, 0, NOW, None)
    return delivery_writes.offer(event, lambda *_: None)


def listing(**wanted: str) -> Callable[[], Operation[Any]]:
    return lambda: delivery_log.page(DeliveryFilter(**wanted), 10, WAITING // 2)


def resending() -> Operation[None]:
    """Send the first failed events again."""
    yield from failing(50)
    yield from resends.start(Resend("resend_1", NOW, LATE))
    yield from resends.advance("resend_1", 2, LATE)


def failing(count: int) -> Operation[None]:
    """Let so many deliveries fail for good."""
    yield Statement(
        "INSERT INTO undelivered (delivery_id, sequence, fate, at)"
        " SELECT id, 1, 'exhausted', due_at FROM deliveries WHERE id > 1000 LIMIT ?1"
        " ON CONFLICT DO NOTHING",
        (count,),
    )


HOT: dict[str, Callable[[], Operation[Any]]] = {
    "due": lambda: due.due(LATE, per_endpoint=4, limit=100, busy=frozenset()),
    "due, but one is busy": lambda: due.due(
        LATE, per_endpoint=4, limit=100, busy=frozenset({LOUD})
    ),
    "rest": lambda: due.rest([LOUD, BEFORE]),
    "one delivery": lambda: due.due_by_id(1, LATE),
    "ended meanwhile": lambda: due.ended_meanwhile([1, 2, 3]),
    "settle": settling,
    "offer": offering,
    "create": lambda: job_writes.create(new("job_new", endpoints=[LOUD])),
    "try of a call": lambda: job_writes.create(replace(new("job_new"), client_try=RETRY)),
    "try without a count": lambda: client_calls.is_repeated(UNCOUNTED),
    "refuse a call": lambda: client_calls.refuse(RETRY),
    "use a job": lambda: client_calls.unused("default", "loud_777"),
    "forget calls": lambda: client_calls.forget(NOW),
    "held back": endpoint_reads.held_back,
    "counts": endpoint_reads.counts,
    "events after": lambda: event_feed.events_after("evt_loud_777_1", 10),
    "events after, of a project": lambda: event_feed.events_after("evt_loud_777_1", 10, OWNER),
    "a job of a project": lambda: job_reads.job("loud_777", OWNER),
    "oldest jobs": lambda: job_reads.page(JobFilter(oldest_first=True), 10, "loud_777"),
    "oldest jobs of a project": lambda: job_reads.page(
        JobFilter(project=OWNER, oldest_first=True), 10, "loud_777"
    ),
    "jobs of a project": lambda: job_reads.page(JobFilter(project=OWNER), 10, "loud_777"),
    "events of a project's job": lambda: job_reads.events(["loud_777"], {}, OWNER),
    "sequence of a project's job": lambda: event_feed.sequences(["loud_777"], OWNER),
    "attempts": lambda: delivery_log.attempts(1, 10),
    "undelivered": lambda: delivery_log.undelivered(1),
    "resend one": lambda: resends.resend_one(1, None, LATE),
    "resend what failed": resending,
    "unfinished resends": resends.unfinished,
    "waiting": listing(state="waiting"),
    "failed": listing(state="failed"),
    "ended": listing(state="ended"),
    "of an endpoint": listing(endpoint_id=BEHIND),
    "of a job": listing(job_id="loud_9", state="waiting"),
    "all": listing(),
}
SORTS_A_FEW = {"attempts"}
"""A delivery's attempts, and those of its resends, are brought into one order."""


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_walks_through_no_table(connection: apsw.Connection, name: str) -> None:
    told = plan(connection, HOT[name]())
    walks = [one for one in whole_walks(told) if one != "SCAN CONSTANT ROW"]
    assert not walks or name in SORTS_A_FEW, told
    assert not any(one.startswith("SCAN") for one in walks), told


@pytest.mark.parametrize("name", [name for name in HOT if name != "resend what failed"])
def test_a_hot_statement_takes_few_steps_however_much_waits(
    connection: apsw.Connection, name: str
) -> None:
    assert steps(connection, HOT[name]()) < FEW_STEPS


def test_sending_anew_takes_as_many_steps_as_it_sends_and_not_as_many_as_failed(
    connection: apsw.Connection,
) -> None:
    run(connection, failing(50))
    run(connection, resends.start(Resend("resend_1", NOW, LATE)))
    few = steps(connection, resends.advance("resend_1", 2, LATE))
    run(connection, failing(5000))
    assert steps(connection, resends.advance("resend_1", 2, LATE)) <= few * 1.5


BUSY = [frozenset[str](), frozenset({LOUD}), frozenset({BEFORE, BEHIND})]


@pytest.mark.parametrize("probing", [False, True], ids=["healthy", "open breaker"])
@pytest.mark.parametrize("busy", BUSY, ids=["none busy", "loud busy", "others busy"])
def test_a_look_takes_as_long_as_where_little_waits(
    connection: apsw.Connection, migrated: Path, busy: frozenset[str], probing: bool
) -> None:
    quiet = connect(migrated, read_only=False)
    quiet.execute("BEGIN")
    for name in (LOUD, BEFORE, BEHIND):
        run(quiet, endpoint_writes.create(replace(ENDPOINT, id=name)))
        run(quiet, crowd(name, 8, at=NOW, prefix=name))
    taken = []
    for one in (quiet, connection):
        if probing:
            open_store = replace(ENDPOINT, id=LOUD, health=CircuitBreaker(5, NOW, NOW))
            run(one, endpoint_writes.save_health(open_store))
        found = run(one, due.due(LATE, per_endpoint=4, limit=100, busy=busy))
        assert {due.delivery.endpoint_id for due in flat(found)} == {
            LOUD,
            BEFORE,
            BEHIND,
        } - busy
        taken.append(steps(one, due.due(LATE, per_endpoint=4, limit=100, busy=busy)))
    quiet.execute("ROLLBACK")
    quiet.close()
    assert taken[1] <= taken[0] * 1.5, taken


# -- waiting jobs and lists of jobs ----------------------------------------------------------------


def after_one() -> Job:
    return replace(new("few1").job, project="few")


QUEUE: dict[str, Callable[[], Operation[Any]]] = {
    "due": lambda: submit_queue.due(ACCOUNT, LATE, 8),
    "for a sibling": lambda: submit_queue.waiting_elsewhere("free", [ACCOUNT], LATE, 8),
    "place": lambda: submit_queue.ahead(after_one()),
}


@pytest.mark.parametrize("name", QUEUE)
def test_the_queue_costs_the_same_however_many_jobs_of_one_project_wait(
    connection: apsw.Connection, name: str
) -> None:
    run(connection, job_crowd("few", 8))
    run(connection, job_crowd("many", 100))
    few = steps(connection, QUEUE[name]())
    run(connection, job_crowd("more", 10_000))
    connection.execute("UPDATE jobs SET project = 'many' WHERE project = 'more'")
    assert steps(connection, QUEUE[name]()) <= few * 1.1


def test_a_look_reads_little_of_each_of_many_projects(connection: apsw.Connection) -> None:
    look = partial(submit_queue.due, ACCOUNT, LATE, 64)
    for project in range(64):
        run(connection, job_crowd(f"prj{project}_", 2))
    few = steps(connection, look())
    for project in range(64):
        run(connection, job_crowd(f"more{project}_", 60))
        connection.execute(
            "UPDATE jobs SET project = ?1 WHERE project = ?2", (f"prj{project}_", f"more{project}_")
        )
    assert steps(connection, look()) <= few * 1.5


FILTERED: dict[str, tuple[JobFilter, str]] = {
    "all": (JobFilter(), "jobs_by_age"),
    "status": (JobFilter(status=Status.ACCEPTED), "jobs_by_status"),
    "model": (JobFilter(model="sora-2"), "jobs_by_model"),
    "code": (JobFilter(code="quota"), "jobs_by_code"),
    "external id": (JobFilter(external_id="7"), "jobs_by_external_id"),
    "metadata": (JobFilter(metadata=(("order", "7"),)), "job_metadata"),
    "time": (JobFilter(created_after=NOW - 9, created_before=NOW + 9), "jobs_by_age"),
}


@pytest.mark.parametrize("project", [None, "many"])
@pytest.mark.parametrize("name", FILTERED)
def test_a_filtered_list_is_read_by_an_index_in_its_order(
    connection: apsw.Connection, name: str, project: str | None
) -> None:
    run(connection, job_crowd("many", 1000))
    wanted, index = FILTERED[name]
    wanted = replace(wanted, project=project)
    told = plan(connection, job_reads.page(wanted, 9, "many7"))
    assert not whole_walks(told), told
    if project is None:
        assert any(index in one for one in told), told
    assert steps(connection, job_reads.page(wanted, 9, None)) < FEW_STEPS
