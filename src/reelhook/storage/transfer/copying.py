"""Moves an installation to another database: copies every row, checks it, and can be resumed.

The schema version shows the state of the copy, so that no server starts on an unfinished copy, or
on both databases. A target is marked `copying:` until every row was copied and checked; the source
is marked `moved:` before the target opens.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from reelhook.domain.errors import CopyError, SettingsError
from reelhook.storage.error_text import no_database
from reelhook.storage.operation import Operation, Row, Statement
from reelhook.storage.operations import history, leases
from reelhook.storage.schema import migrate
from reelhook.storage.transfer.database import TABLES, TransferDatabase
from reelhook.storage.transfer.sqlite import sqlite_transfer

_CHECKSUM_BYTES = 16

ReportProgress = Callable[[str, str, int, int], None]
"""Receives the activity, the table, the number of rows so far, and the total."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A checksum of a table's rows, independent of their order and of the kind of database."""

    rows: int = 0
    checksum: str = "0" * 2 * _CHECKSUM_BYTES


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of a copy, by table. `resumed`: an earlier run had begun it."""

    source: str
    target: str
    tables: dict[str, Digest]
    resumed: bool


async def copy(source: Path | str, target: Path | str, report: ReportProgress) -> Copied:
    """Copy a database into an empty one, or resume an earlier run. Then close the source.

    Raises `SettingsError` if either can't be used for a copy, and `CopyError` if the copy fails.
    """
    if source == target:
        raise SettingsError("The source and the target of the copy are the same database")
    if isinstance(source, Path) and not source.exists():  # noqa: ASYNC240 - a file of this machine
        raise no_database(source)
    async with database(source) as old, database(target) as new:
        revision, moved = await _check_source(old)
        resumed = await new.version() == migrate.COPYING + revision
        if moved and not resumed:
            raise SettingsError(
                f"{old.name} was already moved to another database; if you have deleted that one, "
                "reopen this database first (docs/moving.md)",
                problem="already_moved",
                facts={"database": old.name},
            )
        if not resumed:
            await _prepare(new, target, revision)
        await old.run(leases.free_leases())
        if resumed and not await _copied_rows_match(old, new, report):
            await new.run(_delete_all())
        for table in TABLES:
            await _fill(old, new, table, report)
        tables = {table: await _checked(old, new, table, report) for table in TABLES}
        await new.finish()
        # This value identifies the source. The target starts as a complete database.
        await new.run(history.forget())
        # In this order, so that a server can never start on both.
        await old.mark(migrate.MOVED + revision)
        await new.mark(revision)
        return Copied(old.name, new.name, tables, resumed)


async def reopen(source: Path | str) -> None:
    """Reopen a database that was closed by a copy. Raises `SettingsError`."""
    async with database(source) as old:
        version = await old.version() or ""
        if not version.startswith(migrate.MOVED):
            raise SettingsError(f"{old.name} was not closed by a copy; nothing was changed")
        # A server may have used the copy in the meantime.
        await old.run(history.distrust())
        await old.mark(version.removeprefix(migrate.MOVED))


def database(target: Path | str) -> AbstractAsyncContextManager[TransferDatabase]:
    """Open a database exclusively. Raises `SettingsError`."""
    if isinstance(target, Path):
        return sqlite_transfer(target)
    from reelhook.storage.transfer.postgres import (  # noqa: PLC0415 - loaded only if it is the database
        postgres_transfer,
    )

    return postgres_transfer(target)


async def _check_source(old: TransferDatabase) -> tuple[str, bool]:
    """Return the schema revision, and True if an earlier copy has closed the source."""
    version = await old.version()
    if version is None:
        raise SettingsError(f"{old.name} is empty; there is nothing to copy")
    newest = migrate.newest()
    if version.startswith(migrate.COPYING):
        raise SettingsError(f"{old.name} is itself the target of a copy that is not finished")
    if version.removeprefix(migrate.MOVED) != newest:
        raise SettingsError(
            f"{old.name} has schema {version}, this reelhook has {newest}; "
            "apply all revisions first, with the newest reelhook",
            problem="schema_outdated",
            facts={"database": old.name, "revision": version, "newest": newest},
        )
    return newest, version.startswith(migrate.MOVED)


async def _prepare(new: TransferDatabase, target: Path | str, revision: str) -> None:
    """Create the schema of an empty target, and mark it as unfinished."""
    version = await new.version()
    if version is None and not await new.tables():
        migrate.migrate(target)
    elif version != revision or not await _is_empty(new):
        raise SettingsError(
            f"{new.name} has other data, or was copied to by another version of reelhook; "
            "name an empty database"
        )
    await new.mark(migrate.COPYING + revision)


async def _is_empty(new: TransferDatabase) -> bool:
    if await new.tables() != {*TABLES, "alembic_version"}:
        return False
    return not any([await new.count(table) for table in TABLES])


async def _copied_rows_match(
    old: TransferDatabase, new: TransferDatabase, report: ReportProgress
) -> bool:
    """Return True if the rows copied by an earlier run still equal those of the source."""
    for table in TABLES:
        last = await new.last(table)
        if last is not None:
            there = await _digest(new, table, None, report)
            if there != await _digest(old, table, last, report):
                return False
    return True


def _delete_all() -> Operation[None]:
    for table in reversed(TABLES):
        yield Statement(f"DELETE FROM {table}")


async def _fill(
    old: TransferDatabase, new: TransferDatabase, table: str, report: ReportProgress
) -> None:
    columns = await old.columns(table)
    if columns != await new.columns(table):
        raise CopyError(f"The table {table} has different columns in {new.name} and {old.name}")
    total, done = await old.count(table), await new.count(table)
    async for rows in old.rows(table, columns, after=await new.last(table)):
        await new.add(table, columns, rows)
        done += len(rows)
        report("Copying", table, done, total)


async def _checked(
    old: TransferDatabase, new: TransferDatabase, table: str, report: ReportProgress
) -> Digest:
    here, there = await _digest(old, table, None, report), await _digest(new, table, None, report)
    if here != there:
        raise CopyError(
            f"The table {table} is not the same in {new.name} ({there.rows} rows, checksum "
            f"{there.checksum}) as in {old.name} ({here.rows} rows, checksum {here.checksum}); "
            "nothing was switched: run the copy again"
        )
    return here


async def _digest(
    transfer: TransferDatabase, table: str, upto: Row | None, report: ReportProgress
) -> Digest:
    columns, total = await transfer.columns(table), await transfer.count(table)
    rows, sum_ = 0, 0
    async for batch in transfer.rows(table, columns, upto=upto):
        sum_ += sum(_hash(row) for row in batch)
        rows += len(batch)
        report("Checking", table, rows, total)
    return Digest(rows, f"{sum_ % 2 ** (8 * _CHECKSUM_BYTES):0{2 * _CHECKSUM_BYTES}x}")


def _hash(row: Row) -> int:
    """Return a hash of a row, the same for 1 on SQLite and true on PostgreSQL."""
    plain = tuple(int(value) if value is True or value is False else value for value in row)
    digest = blake2b(repr(plain).encode(errors="surrogatepass"), digest_size=_CHECKSUM_BYTES)
    return int.from_bytes(digest.digest())
