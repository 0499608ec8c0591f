"""Records the rows that an operation reads and writes, and the conflict keys that they demand."""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw

from reelhook.storage.operation import Operation, Row, Statement, StatementBatch, statements_of

# What the frequent writes change; None: whole rows. Anything else may be read without a key, since
# only writes that run alone change it.
CHANGED: dict[str, set[str] | None] = {
    "jobs": None,
    "events": None,
    "deliveries": None,
    "attempts": None,
    "undelivered": None,
    "idempotency_keys": None,
    "client_calls": None,
    "reservations": None,
    "job_files": None,
    "late_checks": None,
    "archive": None,
    "turns": None,
    "api_keys": {"last_used_at"},
    "endpoints": {
        "next_at",
        "failures",
        "failing_since",
        "probe_due_at",
        "probe_milliseconds",
        "ramp",
        "disabled",
        "disabled_at",
    },
}
COMMUTING = {
    "spending",  # increments; the limits are conditions of the write itself
    "job_metadata",  # rows of a new job, which others find by its committed row
    "notices",  # the first one of a sum wins
    "event_bodies",  # rows of a new delivery
    "audit",
}
"""Other tables that frequent writes change, without a key."""
_SOURCE = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO) (\w+)(?: (?!SET\b|WHERE\b|ON\b|JOIN\b)(\w+))?")
_EQUAL = re.compile(r"(?:\b(\w+)\.)?\b(\w+) = \?(\d+)")
_INSERT = re.compile(r"\s*INSERT INTO (\w+) \(([^)]*)\) VALUES \((.*)\)")
_COMMENT = re.compile(r"/\*.*?\*/")


@dataclass(frozen=True)
class Access:
    """Columns of a table that one statement reads or writes, in rows that have these values."""

    table: str
    columns: frozenset[str]
    written: bool
    values: tuple[tuple[str, Any], ...]
    statement: Statement

    def value(self, column: str) -> Any:
        return next((value for name, value in self.values if name == column), None)


@dataclass(frozen=True)
class Demand:
    """An access, and the keys of which one must be declared for it."""

    access: Access
    keys: frozenset[Hashable]


class Recorder:
    """A connection that notes what operations do on it."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.written: set[str] = set()
        """The tables in which anything was written."""

    def demands(self, operation: Operation[Any]) -> list[Demand]:
        """Run an operation; return what it demands. What it raises ends it."""
        found: list[Demand] = []
        rows: Any = None
        try:
            while True:
                asked = operation.send(rows)
                answers = []
                for statement in statements_of(asked):
                    before = self._job_keys(statement)
                    accesses, answer = self._execute(statement)
                    answers.append(answer)
                    for access in accesses:
                        found += self._demands_of(access, before)
                rows = answers if isinstance(asked, StatementBatch) else answers[0]
        except StopIteration:
            return found
        except Exception as error:
            if isinstance(error, apsw.Error):
                raise
            return found

    def _execute(self, statement: Statement) -> tuple[list[Access], list[Row]]:
        noted: dict[tuple[str, bool], set[str]] = {}

        def note(action: int, table: str | None, column: str | None, *_: str | None) -> int:
            written = action in _ACTIONS and action != apsw.SQLITE_READ
            if table is not None and written:
                self.written.add(table)
            if table is not None and table in CHANGED and action in _ACTIONS:
                noted.setdefault((table, written), set()).add(column or "*")
            return apsw.SQLITE_OK

        self._connection.authorizer = note
        try:
            cursor = self._connection.cursor()
            rows = cursor.execute(statement.sql, statement.parameters, can_cache=False).fetchall()
        finally:
            self._connection.authorizer = None
        values = rows_of(statement)
        accesses = [
            Access(table, frozenset(columns), written, tuple(values.get(table, ())), statement)
            for (table, written), columns in noted.items()
        ]
        named = set(tables_of(statement).values())  # a foreign key's parent is not: it stays
        return [one for one in accesses if one.table in named and _matters(one)], rows

    def _demands_of(self, access: Access, job_keys: frozenset[Hashable]) -> Iterator[Demand]:
        keys = self._keys_of(access)
        if access.table == "jobs":
            keys |= job_keys
        yield Demand(access, frozenset(keys))
        provider_job_id = access.value("provider_job_id")
        if access.table == "jobs" and access.written and provider_job_id is not None:
            yield Demand(access, frozenset({("provider", provider_job_id)}))

    def _keys_of(self, access: Access) -> set[Hashable]:
        match access.table:
            case "jobs" if access.value("id") is not None:
                return {access.value("id")}
            case "jobs":
                return {("provider", access.value("provider_job_id"))}
            case "deliveries":
                return {access.value("job_id") or self._job_of(access.value("id"))}
            case "events" | "reservations" | "job_files" | "late_checks" | "archive":
                return {access.value("job_id")}
            case "turns":
                return {("turns", access.value("account"))}
            case "api_keys":
                return {("api_key", access.value("id"))}
            case "idempotency_keys":
                return {("idempotency", access.value("key"))}
            case "client_calls":
                return {("client call", access.value("hash"))}
            case "endpoints":
                return {("endpoint", access.value("id"))}
            case _:
                return {self._job_of(access.value("delivery_id"))}

    def _job_of(self, delivery_id: Any) -> Hashable:
        sql = "SELECT job_id FROM deliveries WHERE id = ?1"
        rows = self._connection.execute(sql, (delivery_id,)).fetchall()
        return rows[0][0] if rows else None

    def _job_keys(self, statement: Statement) -> frozenset[Hashable]:
        """Return the keys of the provider's job that a job's row has before the statement.

        An operation that changes that job declares it as well.
        """
        job_id = dict(rows_of(statement).get("jobs", ())).get("id")
        sql = "SELECT provider_job_id FROM jobs WHERE id = ?1 AND provider_job_id IS NOT NULL"
        rows = self._connection.execute(sql, (job_id,)).fetchall()
        return frozenset(("provider", row[0]) for row in rows)


_ACTIONS = {apsw.SQLITE_READ, apsw.SQLITE_UPDATE, apsw.SQLITE_INSERT, apsw.SQLITE_DELETE}


def _matters(access: Access) -> bool:
    changed = CHANGED[access.table]
    return changed is None or "*" in access.columns or bool(access.columns & changed)


def tables_of(statement: Statement) -> dict[str, str]:
    """Return the tables that the statement's text names, by their aliases."""
    sql = _COMMENT.sub("", statement.sql)
    return {alias or name: name for name, alias in _SOURCE.findall(sql)}


def rows_of(statement: Statement) -> dict[str, list[tuple[str, Any]]]:
    """Return what the statement's text says of the rows: the values of columns, by table."""
    sql = _COMMENT.sub("", statement.sql)
    inserted = _INSERT.match(sql)
    if inserted:
        table, names, marks = inserted.groups()
        columns = zip(names.split(", "), marks.split(", "), strict=False)
        return {
            table: [
                (name, statement.parameters[int(mark[1:]) - 1])
                for name, mark in columns
                if re.fullmatch(r"\?\d+", mark)
            ]
        }
    tables = tables_of(statement)
    first = next(iter(tables.values()), "")
    found: dict[str, list[tuple[str, Any]]] = {}
    for alias, column, number in _EQUAL.findall(sql):
        table = tables.get(alias, first)
        found.setdefault(table, []).append((column, statement.parameters[int(number) - 1]))
    return found
