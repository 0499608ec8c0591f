"""A whole database as the source or target of a copy."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any

from reelhook.domain.errors import CopyError
from reelhook.storage.operation import Operation, Row

BATCH_ROWS = 2000
TABLES: dict[str, tuple[str, ...]] = {
    # In this order, every row refers only to rows that were copied before it.
    "accounts": ("id",),
    "listings": ("account",),
    "keys": ("name",),
    "switches": ("name",),
    "leases": ("id",),
    "workers": ("id",),
    "processes": ("id",),
    "projects": ("id",),
    "closed_costs": ("project", "day", "provider", "model", "unit"),
    "api_keys": ("id",),
    "budgets": ("owner",),
    "spending": ("owner", "period", "unit"),
    "audit": ("id",),
    "endpoints": ("id",),
    "notices": ("id", "endpoint_id"),
    "files": ("project", "hash"),
    "uploads": ("project", "hash"),
    "jobs": ("id",),
    "archive": ("job_id",),
    "late_checks": ("job_id",),
    "job_files": ("job_id", "hash"),
    "job_metadata": ("name", "value", "created_at", "job_id", "project"),
    "turns": ("account", "project"),
    "reservations": ("job_id", "owner"),
    "idempotency_keys": ("holder", "key"),
    "client_calls": ("hash", "id"),
    "events": ("id",),
    "deliveries": ("id",),
    "event_bodies": ("delivery_id", "sequence"),
    "attempts": ("id",),
    "undelivered": ("delivery_id", "sequence"),
    "resends": ("id",),
    "commits": ("id",),
}
"""All tables except the schema version, and their primary keys."""


def batch_rows(table: str) -> int:
    """Return the number of a table's rows that are read at once."""
    return 1 if table == "files" else BATCH_ROWS  # a file may have 64 MiB


class TransferDatabase(ABC):
    """A database in exclusive use. Every method may raise `CopyError`."""

    name: str
    parameter: str
    """The prefix of a numbered SQL parameter."""

    @abstractmethod
    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement."""

    @abstractmethod
    async def tables(self) -> set[str]:
        """Return the names of all tables."""

    @abstractmethod
    async def columns(self, table: str) -> tuple[str, ...]:
        """Return the names of a table's columns, in alphabetical order."""

    @abstractmethod
    async def key(self, table: str) -> tuple[str, ...]:
        """Return the primary key as ORDER BY terms that compare texts by their bytes."""

    @abstractmethod
    def rows(
        self,
        table: str,
        columns: Sequence[str],
        *,
        after: Row | None = None,
        upto: Row | None = None,
    ) -> AsyncIterator[list[Row]]:
        """Yield a table's rows in batches, in the order of its key."""

    @abstractmethod
    async def add(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add all rows, or none."""

    @abstractmethod
    async def run(self, operation: Operation[None]) -> None:
        """Run an operation without reads in a transaction."""

    @abstractmethod
    async def finish(self) -> None:
        """Complete the target after all rows have been added."""

    async def version(self) -> str | None:
        """Return the schema version, or None for an empty database."""
        if "alembic_version" not in await self.tables():
            return None
        rows = await self.fetch("SELECT version_num FROM alembic_version")
        return str(rows[0][0]) if rows else None

    async def mark(self, version: str) -> None:
        """Set the schema version."""
        await self.fetch(f"UPDATE alembic_version SET version_num = {self.parameter}1", (version,))

    async def count(self, table: str) -> int:
        """Return the number of rows of a table."""
        return int((await self.fetch(f"SELECT count(*) FROM {table}"))[0][0])

    async def last(self, table: str) -> Row | None:
        """Return the highest key of a table."""
        order = ", ".join(f"{name} DESC" for name in await self.key(table))
        names = ", ".join(TABLES[table])
        rows = await self.fetch(f"SELECT {names} FROM {table} ORDER BY {order} LIMIT 1")
        return rows[0] if rows else None


def failure(name: str, table: str | None, error: Exception) -> CopyError:
    """Return a one-line error about a database, or a table of it."""
    where = name if table is None else f"{name}, table {table}"
    return CopyError(f"{where}: {' '.join(str(error).split())}")


def key_range(
    table: str, key: Sequence[str], mark: str, after: Row | None, upto: Row | None
) -> tuple[str, Row]:
    """Return the SQL for keys after `after` and up to `upto`, and its parameters."""
    conditions, parameters = ["TRUE"], tuple[object, ...]()
    for sign, bound in ((">", after), ("<=", upto)):
        if bound is not None:
            marks = (f"{mark}{len(parameters) + number}" for number in range(1, len(bound) + 1))
            conditions.append(f"({', '.join(key)}) {sign} ({', '.join(marks)})")
            parameters += bound
    return f"FROM {table} WHERE {' AND '.join(conditions)} ORDER BY {', '.join(key)}", parameters
