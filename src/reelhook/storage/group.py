"""Group commit on PostgreSQL: the writes that wait together share a transaction.

Within it those that touch nothing in common run side by side, a statement of each at a time.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from reelhook.domain.errors import StoreError
from reelhook.storage.operation import Operation, Touches, side_by_side, statements_of, waves
from reelhook.storage.pipeline import Pipeline, only_reads
from reelhook.storage.pool import Pool
from reelhook.storage.servers import FAILURES, words_of

WRITE_SECONDS = 4.0
"""How long a group may take to be written; a server that needs longer counts as away."""
# Another process's transaction is in the way: of a lock, or of both of us.
_CONFLICTS = (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError)
_PATIENCE_MILLISECONDS = (None, 300, 1000)
"""How long each try waits for a lock; None: as long as the session does."""
# What a single operation can bring about: bad values, broken constraints, wrong statements, and
# conflicts with other transactions. Anything else is the database's state, and everyone's.
_FAULTS_OF_ONE = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SyntaxOrAccessError,
    *_CONFLICTS,
    asyncpg.ProgramLimitExceededError,
    ValueError,
    TypeError,
    OverflowError,
)


class Work:
    """An operation on its way through the writer, what became of it, and who waits for that."""

    __slots__ = ("error", "future", "make", "result", "touches", "wrote")

    def __init__(
        self, make: Callable[[], Operation[Any]], touches: Touches, future: asyncio.Future[Any]
    ) -> None:
        self.make = make
        self.touches = touches
        self.future = future
        self.begin()

    def begin(self) -> None:
        """Forget an attempt that was undone."""
        self.result: Any = None
        self.error: Exception | None = None
        self.wrote = False

    @property
    def spoils(self) -> bool:
        """Whether it failed half-way, so that what it wrote has to be undone."""
        return self.error is not None and self.wrote

    def attempt(self) -> Operation[None]:
        """Run the operation, and keep its failure as a value."""
        operation = self.make()
        rows: Any = None  # a generator begins with None
        try:
            while True:
                asked = operation.send(rows)
                self.wrote = self.wrote or not all(
                    only_reads(one.sql) for one in statements_of(asked)
                )
                rows = yield asked
        except StopIteration as stop:
            self.result = stop.value
        except Exception as error:
            self.error = error

    def end(self) -> None:
        """Tell who waits."""
        if self.future.done():  # its caller was canceled; the write stands all the same
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class _SpoiltError(Exception):
    """One operation's failure undoes the transaction that others share with it."""


async def commit(pool: Pool, group: Sequence[Work]) -> None:
    """Commit a group. Where one spoils it, halves are tried, down to that one alone."""
    try:
        await _commit_patiently(pool, group)
    except (_SpoiltError, *_FAULTS_OF_ONE) as error:
        if len(group) > 1:
            middle = len(group) // 2
            await commit(pool, group[:middle])
            await commit(pool, group[middle:])
        elif not isinstance(error, _SpoiltError):
            refuse(group, error)
    except FAILURES as error:
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            await pool.renew()  # another server may be the one that takes writes now
        refuse(group, error)


async def _commit_patiently(pool: Pool, group: Sequence[Work]) -> None:
    # One alone holds little that others wait for, so it may wait until the server decides.
    *first, last = (*_PATIENCE_MILLISECONDS, 0) if len(group) == 1 else _PATIENCE_MILLISECONDS
    for patience in first:
        try:
            await _commit_as_one(pool, group, patience)
        except _CONFLICTS:  # having let go of all locks, so that the other can go on
            continue
        return
    await _commit_as_one(pool, group, last)


async def _commit_as_one(pool: Pool, group: Sequence[Work], patience: int | None) -> None:
    async with pool.borrowed(WRITE_SECONDS) as connection, connection.transaction():
        if patience is not None:
            await connection.execute(f"SET LOCAL lock_timeout = {patience:d}")
        pipeline = Pipeline(connection)
        for wave in waves(group, lambda work: work.touches):
            for work in wave:
                work.begin()
            if wave[0].touches is None:
                await pipeline.finish()  # it may ask for what others wrote
            await pipeline.run(side_by_side([work.attempt() for work in wave]))
            if any(work.spoils for work in wave):
                raise _SpoiltError
        await pipeline.finish()


def refuse(group: Sequence[Work], error: BaseException) -> None:
    """Tell all of a group that nothing was written."""
    for work in group:
        work.error = StoreError(f"The database refused a write: {words_of(error)}")
