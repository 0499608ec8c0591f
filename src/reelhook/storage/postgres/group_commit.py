"""Group commit on PostgreSQL: the writes that wait together share a transaction.

Within it those that touch nothing in common run side by side, a statement of each at a time.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import structlog

from reelhook.domain.errors import CommitUnknownError, StoreError
from reelhook.storage.error_text import error_text
from reelhook.storage.operation import (
    ConflictKeys,
    Operation,
    concurrently,
    conflict_free_batches,
    statements_of,
)
from reelhook.storage.operations.receipts import FORGET, LEAVE, CommitOutcome, Receipts, inline
from reelhook.storage.postgres.commit_outcome import find_out
from reelhook.storage.postgres.failover import FAILURES
from reelhook.storage.postgres.pipeline import Pipeline, only_reads
from reelhook.storage.postgres.place import TimelineCheck
from reelhook.storage.postgres.pool import Pool

log = structlog.get_logger()

WRITE_SECONDS = 4.0
"""How long a group may take to be written; a server that needs longer counts as away."""
# Another process's transaction is in the way: of a lock, or of both of us.
_CONFLICTS = (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError)
# What a server says to COMMIT when it has undone the transaction.
_REFUSED_AT_COMMIT = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
_PATIENCE_MILLISECONDS = (None, 300, 1000)
"""How long each try waits for a lock; None: as long as the session does."""
LATER_SECONDS = 0.5
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


class PostgresWork:
    """An operation on its way through the writer, what became of it, and who waits for that.

    `outcome` is that of its transaction; None while that has not been committed. `deferred`: it is
    just being found out.
    """

    __slots__ = (
        "conflict_keys",
        "deferred",
        "error",
        "future",
        "make",
        "outcome",
        "result",
        "wrote",
    )

    def __init__(
        self,
        make: Callable[[], Operation[Any]],
        conflict_keys: ConflictKeys,
        future: asyncio.Future[Any],
    ) -> None:
        self.make = make
        self.conflict_keys = conflict_keys
        self.future = future
        self.outcome: CommitOutcome | None = None
        self.deferred = False
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
        if self.deferred or self.future.done():
            return  # its caller will be told, or was canceled; the write stands all the same
        if self.outcome is CommitOutcome.UNKNOWN:
            self.future.set_exception(CommitUnknownError())
        elif self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _GroupSpoiltError(Exception):
    """One operation's failure undoes the transaction that others share with it."""


class PostgresGroups:
    """Commits groups, one at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._receipts = Receipts()
        self._place = TimelineCheck()
        self._doubts: set[asyncio.Task[None]] = set()
        """What finds out about transactions."""

    async def arrive(self) -> None:
        """See `TimelineCheck.arrive`: before anything is written, so that this delays no write."""
        async with self._pool.borrowed(WRITE_SECONDS) as connection:
            await self._place.arrive(connection)

    async def close(self, seconds: float) -> None:
        """Leave what can't be found out that soon at being unknown."""
        in_doubt = list(self._doubts)
        if in_doubt:
            await asyncio.wait(in_doubt, timeout=seconds)
        for task in in_doubt:
            task.cancel()
        await asyncio.gather(*in_doubt, return_exceptions=True)

    async def commit(self, group: Sequence[PostgresWork], *, again: bool = False) -> None:
        """Commit a group. Where one spoils it, halves are tried, down to that one alone."""
        try:
            await self._commit_patiently(group)
        except (_GroupSpoiltError, *_FAULTS_OF_ONE) as error:
            if len(group) > 1:
                middle = len(group) // 2
                await self.commit(group[:middle])
                await self.commit(group[middle:])
            elif isinstance(error, asyncpg.UniqueViolationError) and not again:
                # Another process wrote what was not there when it was looked for: now it is.
                await self.commit(group, again=True)
            elif not isinstance(error, _GroupSpoiltError):
                refuse(group, error)
        except FAILURES as error:
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                await self._pool.renew()  # another server may be the one that takes writes now
            refuse(group, error)

    async def _commit_patiently(self, group: Sequence[PostgresWork]) -> None:
        # One alone holds little that others wait for, so it may wait until the server decides.
        lone = len(group) == 1
        *first, last = (*_PATIENCE_MILLISECONDS, 0) if lone else _PATIENCE_MILLISECONDS
        for patience in first:
            try:
                await self._commit_as_one(group, patience)
            except _CONFLICTS:  # having let go of all locks, so that the other can go on
                continue
            return
        await self._commit_as_one(group, last)

    async def _commit_as_one(self, group: Sequence[PostgresWork], patience: int | None) -> None:
        """Commit a group, or raise; then nothing was written, and nothing will be.

        What is unknown is neither: the works say so.
        """
        receipt = self._receipts.new()
        try:
            async with self._pool.borrowed(WRITE_SECONDS) as connection:
                await self._run(connection, group, receipt, patience)
                if not any(work.wrote for work in group):
                    await connection.execute("ROLLBACK;")
                    _mark(group, CommitOutcome.WRITTEN)  # all of nothing
                    return
                _mark(group, CommitOutcome.UNKNOWN)  # from the moment when COMMIT is sent
                await connection.execute("COMMIT;")
                _mark(group, CommitOutcome.WRITTEN)
        except FAILURES as error:
            if group[0].outcome is CommitOutcome.UNKNOWN and not isinstance(
                error, _REFUSED_AT_COMMIT
            ):
                self._clear_up(group, receipt, error)
                return
            if (
                group[0].outcome is not CommitOutcome.WRITTEN
            ):  # else it was only not given back well
                _mark(group, None)
                raise
        self._receipts.spent = receipt

    async def _run(
        self, connection: Any, group: Sequence[PostgresWork], receipt: str, patience: int | None
    ) -> None:
        # In one round trip with BEGIN it costs next to nothing.
        begin = ["BEGIN", inline(FORGET, self._receipts.spent), inline(LEAVE, receipt)]
        if patience is not None:
            begin.insert(1, f"SET LOCAL lock_timeout = {patience:d}")
        try:
            await self._place.begin(connection, "; ".join(begin))
            await _run_batches(Pipeline(connection), group)
        except BaseException:
            with contextlib.suppress(*FAILURES):
                await connection.execute("ROLLBACK;")
            raise

    # -- lost responses to COMMIT -------------------------------------------------------------

    def _clear_up(self, group: Sequence[PostgresWork], receipt: str, error: Exception) -> None:
        """Find out what became of a group, while others are written, and tell its callers."""
        for work in group:
            work.deferred = True
        task = asyncio.create_task(self._tell_apart(group, receipt, error))
        self._doubts.add(task)
        task.add_done_callback(self._doubts.discard)

    async def _tell_apart(
        self, group: Sequence[PostgresWork], receipt: str, error: Exception
    ) -> None:
        ids = {"receipt": receipt, "error": error_text(error)}
        try:
            outcome = await find_out(self._pool, receipt)
            _mark(group, None if outcome is CommitOutcome.NOT_WRITTEN else outcome)
            refuse(group, error)
        finally:  # canceled at the end of the program: what is unknown stays so
            for work in group:
                work.deferred = False
                work.end()
        if outcome is CommitOutcome.UNKNOWN:
            log.error("commit.unknown", **ids)
        while outcome is CommitOutcome.UNKNOWN:
            # Settled for good as soon as the database is back, though nobody waits for it now.
            await asyncio.sleep(LATER_SECONDS)
            outcome = await find_out(self._pool, receipt)
        log.warning("commit.cleared_up", outcome=outcome.value, **ids)


async def _run_batches(pipeline: Pipeline, group: Sequence[PostgresWork]) -> None:
    for batch in conflict_free_batches(group, lambda work: work.conflict_keys):
        for work in batch:
            work.begin()
        if batch[0].conflict_keys is None:
            await pipeline.finish()  # it may ask for what others wrote
        await pipeline.run(concurrently([work.attempt() for work in batch]))
        if any(work.spoils for work in batch):
            raise _GroupSpoiltError
    await pipeline.finish()


def refuse(group: Sequence[PostgresWork], error: BaseException) -> None:
    """Tell all of a group that nothing was written, but for those of which more is known."""
    for work in group:
        if work.outcome is None:
            work.error = StoreError(f"The database refused a write: {error_text(error)}")


def _mark(group: Sequence[PostgresWork], outcome: CommitOutcome | None) -> None:
    for work in group:
        work.outcome = outcome
