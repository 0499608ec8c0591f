"""Moving an installation to another database: every row of every table, checked, resumable.

The schema's version says how far it is, so that no server starts on half of it, and none on both:
a target bears `copying:` until all is there and checked, and the source is closed as `moved:`
before the target opens.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from reelhook.domain.errors import CopyError, SettingsError
from reelhook.storage.error_text import no_database
from reelhook.storage.operation import Operation, Row, Statement
from reelhook.storage.operations import history
from reelhook.storage.operations import leases as ownership
from reelhook.storage.schema import migrate
from reelhook.storage.transfer.database import TABLES, TransferDatabase
from reelhook.storage.transfer.sqlite import sqlite_transfer

_CHECKSUM_BYTES = 16

Tell = Callable[[str, str, int, int], None]
"""Is told what is done, with which table, how many rows so far, and of how many."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A table's rows as a number: however they are ordered, and whichever database has them."""

    rows: int = 0
    checksum: str = "0" * 2 * _CHECKSUM_BYTES


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied, by table. `resumed`: an earlier run had begun with it."""

    source: str
    target: str
    tables: dict[str, Digest]
    resumed: bool


async def copy(source: Path | str, target: Path | str, tell: Tell) -> Copied:
    """Copy all of a database into an empty one, or go on with it; then close the source.

    Raises `SettingsError` where one of them can't be used for it, `CopyError` where it fails.
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
                f"{old.name} was moved to another database already; if that one was discarded, "
                "reopen this database first (docs/moving.md)",
                problem="already_moved",
                facts={"database": old.name},
            )
        if not resumed:
            await _prepare(new, target, revision)
        await old.do(ownership.free_leases())
        if resumed and not await _begun_rightly(old, new, tell):
            await new.do(_wiped())
        for table in TABLES:
            await _fill(old, new, table, tell)
        tables = {table: await _checked(old, new, table, tell) for table in TABLES}
        await new.finish()
        # It says where the source is. The target begins as a database that lacks nothing.
        await new.do(history.forget())
        # In this order: at no moment would both start.
        await old.mark(migrate.MOVED + revision)
        await new.mark(revision)
        return Copied(old.name, new.name, tables, resumed)


async def reopen(source: Path | str) -> None:
    """Open a database again that was closed by a copy. Raises `SettingsError`."""
    async with database(source) as old:
        version = await old.version() or ""
        if not version.startswith(migrate.MOVED):
            raise SettingsError(f"{old.name} was not closed by a copy; nothing was changed")
        # The copy may have been at work meanwhile.
        await old.do(history.distrust())
        await old.mark(version.removeprefix(migrate.MOVED))


def database(target: Path | str) -> AbstractAsyncContextManager[TransferDatabase]:
    """Open a database and keep others out. Raises `SettingsError`."""
    if isinstance(target, Path):
        return sqlite_transfer(target)
    from reelhook.storage.transfer.postgres import (  # noqa: PLC0415 - loaded where it is the database
        postgres_transfer,
    )

    return postgres_transfer(target)


async def _check_source(old: TransferDatabase) -> tuple[str, bool]:
    """Return the schema's revision, and whether an earlier copy closed the source."""
    version = await old.version()
    if version is None:
        raise SettingsError(f"{old.name} is empty; there is nothing to copy")
    newest = _newest()
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
    """Give an empty target its schema, marked as being filled."""
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


async def _begun_rightly(old: TransferDatabase, new: TransferDatabase, tell: Tell) -> bool:
    """Whether what an earlier run copied is what the source has to this day."""
    for table in TABLES:
        last = await new.last(table)
        if last is not None:
            there = await _digest(new, table, None, tell)
            if there != await _digest(old, table, last, tell):
                return False
    return True


def _wiped() -> Operation[None]:
    for table in reversed(TABLES):
        yield Statement(f"DELETE FROM {table}")


async def _fill(old: TransferDatabase, new: TransferDatabase, table: str, tell: Tell) -> None:
    columns = await old.columns(table)
    if columns != await new.columns(table):
        raise CopyError(f"The table {table} has other columns in {new.name} than in {old.name}")
    total, done = await old.count(table), await new.count(table)
    async for rows in old.rows(table, columns, after=await new.last(table)):
        await new.add(table, columns, rows)
        done += len(rows)
        tell("Copying", table, done, total)


async def _checked(old: TransferDatabase, new: TransferDatabase, table: str, tell: Tell) -> Digest:
    here, there = await _digest(old, table, None, tell), await _digest(new, table, None, tell)
    if here != there:
        raise CopyError(
            f"The table {table} is not the same in {new.name} ({there.rows} rows, checksum "
            f"{there.checksum}) as in {old.name} ({here.rows} rows, checksum {here.checksum}); "
            "nothing was switched: run the copy again"
        )
    return here


async def _digest(one: TransferDatabase, table: str, upto: Row | None, tell: Tell) -> Digest:
    columns, total = await one.columns(table), await one.count(table)
    rows, sum_ = 0, 0
    async for batch in one.rows(table, columns, upto=upto):
        sum_ += sum(_hash(row) for row in batch)
        rows += len(batch)
        tell("Checking", table, rows, total)
    return Digest(rows, f"{sum_ % 2 ** (8 * _CHECKSUM_BYTES):0{2 * _CHECKSUM_BYTES}x}")


def _hash(row: Row) -> int:
    """Return the same number for what SQLite keeps as 1 and PostgreSQL as true."""
    plain = tuple(int(value) if value is True or value is False else value for value in row)
    digest = blake2b(repr(plain).encode(errors="surrogatepass"), digest_size=_CHECKSUM_BYTES)
    return int.from_bytes(digest.digest())


def _newest() -> str:
    return migrate.revisions()[-1].partition("_")[0]
