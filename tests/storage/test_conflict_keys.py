"""The declared conflict keys cover what a frequent write reads and writes."""

import inspect
import shutil
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelhook.ports import IdempotencyKey
from reelhook.storage.operation import ConflictKeys
from reelhook.storage.operations import (
    conflict_keys,
    delivery_writes,
    endpoint_wakeups,
    endpoint_writes,
    job_writes,
    new_deliveries,
)
from reelhook.storage.sqlite.driver import connect
from reelhook.storage.sqlite.group_commit import run
from reelhook.storage.store import Store

from .frequent_writes import (
    Snapshot,
    Write,
    accepting,
    by_method,
    prepared,
    recording,
    settling,
    writes,
)
from .recorded_rows import CHANGED, COMMUTING, Access, Demand, Recorder
from .samples import new

# A new event reopens the breaker of a job's own URL that was disabled as failing. Which endpoint
# that is, is read on the way; `test_commuting` shows that either order of the writes is right.
REOPENING = {
    delivery_writes._RECIPIENTS,
    endpoint_writes._LOCKED_FOR_CHANGE,
    endpoint_writes._REPLACE,
    endpoint_writes._WAKE_NOW,
    endpoint_wakeups._RELEASE,
}


@pytest.fixture(scope="module")
def stage(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Stage"]:
    path = Path(shutil.copy(migrated, tmp_path_factory.mktemp("keys") / "reelhook.db"))
    connection = connect(path, read_only=False)
    yield Stage(connection)
    connection.close()


class Stage:
    """A prepared database."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        with connection:
            self.known: Snapshot = run(connection, prepared())

    def undeclared(self, write: Write) -> list[Demand]:
        """Return the accesses of a write that none of its keys covers."""
        if write.keys is None:
            return []  # it runs alone
        self._connection.execute("BEGIN")
        try:
            recorder = Recorder(self._connection)
            demands = recorder.demands(write.make())
        finally:
            self._connection.execute("ROLLBACK")
        assert recorder.written <= CHANGED.keys() | COMMUTING
        assert demands
        keys = set(write.keys)
        return [one for one in demands if not one.keys & keys and not is_exempt(write, one.access)]


def is_exempt(write: Write, access: Access) -> bool:
    """Return True if the access commutes with those of all other frequent writes."""
    sql = access.statement.sql
    if access.table == "endpoints" and sql == new_deliveries._ADD_URL:
        return True  # every job would insert the same row
    if access.table == "endpoints" and sql in {endpoint_wakeups._LOWER, endpoint_wakeups._NEXT_AT}:
        return True  # the lowest value wins
    if access.statement.last and not access.written:
        return True  # numbers are given out at the end of a transaction, one after the other
    return write.name == "record" and sql in REOPENING


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_declared_keys_cover_what_a_write_reads_and_writes(
    stage: Stage, data: st.DataObject
) -> None:
    assert stage.undeclared(data.draw(writes(stage.known))) == []


def declarations() -> dict[str, tuple[object, object]]:
    """Return the operation and the declared keys of each of the store's frequent writes."""
    methods = inspect.getmembers(Store, inspect.isfunction)
    found = {name: inspect.getclosurevars(method).nonlocals for name, method in methods}
    return {
        name: (names["operation"], names["conflict_keys"])
        for name, names in found.items()
        if names.get("conflict_keys") is not None
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_each_write_that_declares_keys_is_tried_here_with_these_keys(
    stage: Stage, data: st.DataObject
) -> None:
    made = {name: data.draw(one) for name, one in by_method(stage.known).items()}
    assert {name: (one.operation, one.declared) for name, one in made.items()} == declarations()


# -- wrong declarations are detected ---------------------------------------------------------------


def without(name: str, keys: Callable[..., ConflictKeys]) -> Callable[..., ConflictKeys]:
    """Return a declaration that lacks the keys of one kind; "job": all that are no tuples."""

    def declared(*arguments: object) -> ConflictKeys:
        kinds = [
            (one[0] if isinstance(one, tuple) else "job", one) for one in keys(*arguments) or ()
        ]
        return [one for kind, one in kinds if kind != name]

    return declared


def kind_of(key: Hashable) -> object:
    return key[0] if isinstance(key, tuple) else "job"


def creating(known: Snapshot) -> Write:
    made = new("job_1", key=IdempotencyKey("h1", "k1", "f"))
    made = replace(made, job=made.job.accept("video_x", made.job.created_at))
    return Write("create", (made,), job_writes.create, conflict_keys.of_new)


MUTANTS: dict[str, tuple[Callable[[Snapshot], Write], str]] = {
    "a new job": (creating, "job"),
    "a new job's idempotency key": (creating, "idempotency"),
    "a registered job's video": (creating, "provider"),
    "a recorded job": (lambda known: recording(known, "job_a"), "job"),
    "an accepted job": (lambda known: accepting(known, "job_s", "video_x"), "job"),
    "an accepted job's video": (
        lambda known: accepting(known, "job_s", "video_x"),
        "provider",
    ),
    "the job of an attempt": (settling, "job"),
    "the endpoint of an attempt": (settling, "endpoint"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_key_that_is_not_declared_is_found_out(stage: Stage, name: str) -> None:
    make, lacking = MUTANTS[name]
    write = make(stage.known)
    assert stage.undeclared(write) == []
    assert stage.undeclared(replace(write, declared=without(lacking, write.declared))) != []
