"""Frequent writes that declare no common conflict key commute, and may run concurrently."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any, Protocol

import apsw
import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelhook.domain.budget import BudgetLimits
from reelhook.domain.endpoint import url_id
from reelhook.domain.over_budget import OverBudgetError
from reelhook.domain.reservation import bill_of
from reelhook.ports import SOLE_HOLDER, IdempotencyKey
from reelhook.storage.operation import Operation, Row, Statement, concurrently
from reelhook.storage.operations import budgets, job_writes
from reelhook.storage.operations.conflict_keys import of_new
from reelhook.storage.postgres.pipeline import Pipeline
from reelhook.storage.sqlite.driver import connect
from reelhook.storage.sqlite.group_commit import run

from .frequent_writes import (
    BROKEN_URL,
    BUDGET,
    PENDING,
    PRICE,
    SUBMITTING,
    UNPREPARED,
    UNRESOLVED,
    WAITING,
    Snapshot,
    Write,
    prepared,
    writes,
)
from .postgres_databases import emptied_database
from .samples import NOW, new

# Ids, positions and an endpoint's `created_at` are left out: they tell the order of the commits.
DUMPS = {
    "jobs": "SELECT * FROM jobs ORDER BY id",
    "events": "SELECT id, job_id, sequence, kind, body FROM events ORDER BY job_id, sequence",
    "deliveries": "SELECT job_id, endpoint_id, status_sequence, progress_sequence, attempts,"
    " due_at, not_before, terminal_at, ended, outcome, delivered_sequence, url FROM deliveries"
    " ORDER BY job_id, endpoint_id",
    "attempts": "SELECT delivery_id, event_id, number, started_at FROM attempts"
    " ORDER BY delivery_id, started_at, number",
    "undelivered": "SELECT delivery_id, sequence, fate, at FROM undelivered"
    " ORDER BY delivery_id, sequence",
    "reservations": "SELECT * FROM reservations ORDER BY job_id, owner",
    "spending": "SELECT owner, period, unit, reserved, spent FROM spending"
    " ORDER BY owner, period, unit",
    "idempotency_keys": "SELECT holder, key, job_id FROM idempotency_keys ORDER BY holder, key",
    "client_calls": "SELECT hash, id, job_id, answered, answered_at, lost FROM client_calls"
    " ORDER BY hash, id",
    "job_files": "SELECT * FROM job_files ORDER BY job_id, hash",
    "late_checks": "SELECT * FROM late_checks ORDER BY job_id",
    "archive": "SELECT job_id, account, state, due_at FROM archive ORDER BY job_id",
    "turns": "SELECT * FROM turns ORDER BY account, project",
    "api_keys": "SELECT id, last_used_at FROM api_keys ORDER BY id",
    "endpoints": "SELECT id, next_at, disabled, disabled_at, health_version, failures,"
    " failing_since, probe_due_at, probe_milliseconds, ramp FROM endpoints ORDER BY id",
}
RESERVED = len((*PENDING, *SUBMITTING, *UNRESOLVED, *UNPREPARED, *WAITING))
"""The number of prepared jobs, each of which has reserved its price."""
GENERATED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
Outcome = tuple[list[Any], dict[str, list[Row]]]


class Runner(Protocol):
    """A prepared database that can be put back."""

    known: Snapshot

    def outcome(self, *operations: Operation[Any]) -> Outcome:
        """Run these in turn; return their results and all rows. The database is put back."""
        ...


def attempted(operation: Operation[Any]) -> Operation[Any]:
    """Run an operation; an error is a result too."""
    try:
        return (yield from operation)
    except Exception as error:
        return type(error)


def dumped() -> Operation[dict[str, list[Row]]]:
    rows = {}
    for table, sql in DUMPS.items():
        rows[table] = yield Statement(sql)
    return rows


class OnSQLite:
    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        with connection:
            self.known = run(connection, prepared())

    def outcome(self, *operations: Operation[Any]) -> Outcome:
        self._connection.execute("BEGIN")
        try:
            results = [run(self._connection, attempted(one)) for one in operations]
            return results, run(self._connection, dumped())
        finally:
            self._connection.execute("ROLLBACK")


class OnPostgres:
    def __init__(self, runner: asyncio.Runner, connection: asyncpg.Connection) -> None:
        self._runner = runner
        self._connection = connection
        self.known = runner.run(self._run(prepared()))

    def outcome(self, *operations: Operation[Any]) -> Outcome:
        return self._runner.run(self._outcome(operations))

    async def _outcome(self, operations: tuple[Operation[Any], ...]) -> Outcome:
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            results = [await self._run(attempted(one)) for one in operations]
            rows = await self._run(dumped())
            return results, {table: [tuple(row) for row in found] for table, found in rows.items()}
        finally:
            await transaction.rollback()

    async def _run(self, operation: Operation[Any]) -> Any:
        pipeline = Pipeline(self._connection)
        result = await pipeline.run(operation)
        await pipeline.finish()
        return result


@pytest.fixture(scope="module")
def on_sqlite(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    path = Path(shutil.copy(migrated, tmp_path_factory.mktemp("commuting") / "reelhook.db"))
    connection = connect(path, read_only=False)
    yield OnSQLite(connection)
    connection.close()


@pytest.fixture(scope="module")
def on_postgres(postgres_url: str) -> Iterator[Runner]:
    with asyncio.Runner() as runner:
        databases = emptied_database(postgres_url)
        connection = runner.run(asyncpg.connect(runner.run(databases.__aenter__())))
        yield OnPostgres(runner, connection)
        runner.run(connection.close())
        runner.run(databases.__aexit__(None, None, None))


@pytest.fixture(scope="module", params=["on_sqlite", "on_postgres"])
def runner(request: pytest.FixtureRequest) -> Runner:
    found: Runner = request.getfixturevalue(request.param)
    return found


def disjoint(first: Write, second: Write) -> bool:
    """Return True if a group may run both concurrently."""
    one, other = first.keys, second.keys
    return one is not None and other is not None and not set(one) & set(other)


def commute(runner: Runner, first: Write, second: Write) -> bool:
    """Return True if both orders have the same results and leave the same rows.

    A new event reopens the breaker of a job's own URL that was disabled as failing; the breakers of
    such endpoints are not compared. Which event does so, or whether an attempt comes before, is for
    the order to decide.
    """
    forth, after_forth = runner.outcome(first.make(), second.make())
    back, after_back = runner.outcome(second.make(), first.make())
    return forth == back[::-1] and _comparable(after_forth) == _comparable(after_back)


def _comparable(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    broken = url_id(BROKEN_URL)
    endpoints = [row[:5] if row[0] == broken else row for row in rows["endpoints"]]
    return rows | {"endpoints": endpoints}


def serializable(runner: Runner, *some: Write) -> bool:
    """Return True if running all concurrently is the same as running them in some order."""
    outcomes = []
    for order in permutations(range(len(some))):
        results, rows = runner.outcome(*[some[place].make() for place in order])
        outcomes.append(([results[order.index(place)] for place in range(len(some))], rows))
    (results,), rows = runner.outcome(concurrently([attempted(one.make()) for one in some]))
    return (results, rows) in outcomes


@GENERATED
@given(data=st.data())
def test_writes_without_a_common_key_commute(runner: Runner, data: st.DataObject) -> None:
    first = data.draw(writes(runner.known))
    second = data.draw(writes(runner.known).filter(lambda one: disjoint(first, one)))
    assert commute(runner, first, second)


@GENERATED
@given(data=st.data())
def test_concurrent_writes_without_a_common_key_are_as_if_run_in_turn(
    runner: Runner, data: st.DataObject
) -> None:
    some: list[Write] = []
    for _ in range(data.draw(st.integers(2, 3))):
        fits = writes(runner.known).filter(lambda one: all(disjoint(one, each) for each in some))
        some.append(data.draw(fits))
    assert serializable(runner, *some)


@pytest.mark.parametrize("room", [0, 1, 2])
def test_concurrent_creates_share_what_a_budget_has_left(runner: Runner, room: int) -> None:
    """No common key is declared: the limits are conditions of the write itself."""
    full = BudgetLimits(money_per_day={"USD": (RESERVED + room) * 500_000})
    creates = [
        Write("create", (replace(new(name), prices=(PRICE,)),), job_writes.create, of_new)
        for name in ("job_1", "job_2", "job_3")
    ]
    limiting = [budgets.set_limits(BUDGET, full, NOW, bill_of)]
    (_, results), rows = runner.outcome(
        *limiting, concurrently([attempted(one.make()) for one in creates])
    )
    assert results.count(OverBudgetError) == len(creates) - room
    assert ("project:default", "2026-01-01", "USD", (RESERVED + room) * 500_000, 0) in rows[
        "spending"
    ]


def test_two_writes_that_hide_their_common_key_are_found_out(runner: Runner) -> None:
    """Were the idempotency key not declared, two jobs would be created, and paid for."""
    first, second = (
        Write(
            "create",
            (new(f"job_of_{holder}", key=IdempotencyKey(holder, "k1", "f")),),
            job_writes.create,
            lambda new: (new.job.id,),
        )
        for holder in (SOLE_HOLDER, "h1")
    )
    assert disjoint(first, second)
    assert not commute(runner, first, second)
    assert not serializable(runner, first, second)
