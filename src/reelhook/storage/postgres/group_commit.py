"""Group commit on PostgreSQL: writes that are waiting at the same time share a transaction.

Within it, writes that share no conflict key run concurrently, one statement of each at a time.
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
)
from reelhook.storage.operations.receipts import FORGET, LEAVE, CommitOutcome, Receipts, inline
from reelhook.storage.pending_write import GroupSpoiltError, PendingWrite
from reelhook.storage.postgres.commit_outcome import find_out
from reelhook.storage.postgres.failover import FAILURES
from reelhook.storage.postgres.pipeline import Pipeline, has_written
from reelhook.storage.postgres.place import TimelineCheck
from reelhook.storage.postgres.pool import Pool

log = structlog.get_logger()

WRITE_SECONDS = 4.0
"""The time limit for writing a group. A server that needs longer counts as unreachable."""
# Another process's transaction holds a needed lock, or both are deadlocked.
_CONFLICTS = (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError)
# Errors from COMMIT that mean that the transaction was rolled back.
_REFUSED_AT_COMMIT = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
_PATIENCE_MILLISECONDS = (None, 300, 1000)
"""The time for which each try waits for a lock; None: the session's default."""
OUTCOME_RETRY_SECONDS = 0.5
# Errors that a single operation can cause: bad values, violated constraints, wrong statements, and
# conflicts with other transactions. Any other error concerns the whole group.
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


class PostgresWork(PendingWrite):
    """A pending write with its conflict keys and the outcome of its transaction.

    `outcome` is None until the transaction is committed. `deferred`: the outcome is being
    determined.
    """

    __slots__ = ("conflict_keys", "deferred", "outcome", "wrote")

    def __init__(
        self,
        make: Callable[[], Operation[Any]],
        conflict_keys: ConflictKeys,
        future: asyncio.Future[Any],
    ) -> None:
        super().__init__(make, future)
        self.conflict_keys = conflict_keys
        self.outcome: CommitOutcome | None = None
        self.deferred = False

    def begin(self) -> None:
        """Forget an earlier attempt, which was undone."""
        super().begin()
        self.wrote = False

    @property
    def spoils(self) -> bool:
        """True if it failed half-way, so that its writes have to be undone."""
        return self.error is not None and self.wrote

    def attempt(self) -> Operation[None]:
        """Run the operation, and store its failure as a value."""
        operation = self.make()
        rows: Any = None  # a generator begins with None
        try:
            while True:
                yielded = operation.send(rows)
                rows = yield yielded
                self.wrote = self.wrote or has_written(yielded, rows)
        except StopIteration as stop:
            self.result = stop.value
        except Exception as error:
            self.error = error

    def deliver(self) -> None:
        """Pass the result or the error to the caller, unless the outcome is being determined."""
        if self.deferred:
            return
        if self.outcome is CommitOutcome.UNKNOWN:
            self.error = CommitUnknownError()
        super().deliver()


class PostgresGroups:
    """Commits groups, one at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._receipts = Receipts()
        self._place = TimelineCheck()
        self._undetermined: set[asyncio.Task[None]] = set()
        """Tasks that determine the outcome of transactions."""

    async def arrive(self) -> None:
        """Identify the database before the first write, so that no write waits for it."""
        async with self._pool.borrowed(WRITE_SECONDS) as connection:
            await self._place.arrive(connection)

    async def close(self, seconds: float) -> None:
        """Wait this long for outcomes that are being determined. The rest stay unknown."""
        tasks = list(self._undetermined)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def commit(self, group: Sequence[PostgresWork], *, again: bool = False) -> None:
        """Commit a group. If one write spoils it, halves are tried, down to that write alone."""
        try:
            await self._commit_patiently(group)
        except (GroupSpoiltError, *_FAULTS_OF_ONE) as error:
            if len(group) > 1:
                middle = len(group) // 2
                await self.commit(group[:middle])
                await self.commit(group[middle:])
            elif isinstance(error, asyncpg.UniqueViolationError) and not again:
                # Another process has inserted the row since it was looked up. This time it will be
                # found.
                await self.commit(group, again=True)
            elif not isinstance(error, GroupSpoiltError):
                refuse(group, error)
        except FAILURES as error:
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                await self._pool.renew()  # another server may now be the primary
            refuse(group, error)

    async def _commit_patiently(self, group: Sequence[PostgresWork]) -> None:
        # A single write holds few locks, so it may wait until the server decides.
        lone = len(group) == 1
        *first, last = (*_PATIENCE_MILLISECONDS, 0) if lone else _PATIENCE_MILLISECONDS
        for patience in first:
            try:
                await self._commit_as_one(group, patience)
            except _CONFLICTS:  # all locks are released, so that the other process can continue
                continue
            return
        await self._commit_as_one(group, last)

    async def _commit_as_one(self, group: Sequence[PostgresWork], patience: int | None) -> None:
        """Commit a group, or raise; then nothing was written, and nothing will be.

        If the outcome is unknown, the works are marked so.
        """
        receipt = self._receipts.new()
        try:
            async with self._pool.borrowed(WRITE_SECONDS) as connection:
                await self._run(connection, group, receipt, patience)
                if not any(work.wrote for work in group):
                    await connection.execute("ROLLBACK;")
                    _mark(group, CommitOutcome.WRITTEN)  # there was nothing to write
                    return
                _mark(group, CommitOutcome.UNKNOWN)  # from now on, because COMMIT is being sent
                await connection.execute("COMMIT;")
                _mark(group, CommitOutcome.WRITTEN)
        except FAILURES as error:
            if group[0].outcome is CommitOutcome.UNKNOWN and not isinstance(
                error, _REFUSED_AT_COMMIT
            ):
                self._determine_later(group, receipt, error)
                return
            if group[0].outcome is not CommitOutcome.WRITTEN:  # otherwise only its return failed
                _mark(group, None)
                raise
        self._receipts.spent = receipt

    async def _run(
        self, connection: Any, group: Sequence[PostgresWork], receipt: str, patience: int | None
    ) -> None:
        # Sent in one round trip with BEGIN, the receipt costs almost nothing.
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

    def _determine_later(
        self, group: Sequence[PostgresWork], receipt: str, error: Exception
    ) -> None:
        """Find out the outcome of a group while others are written, then reply to its callers."""
        for work in group:
            work.deferred = True
        task = asyncio.create_task(self._determine_outcome(group, receipt, error))
        self._undetermined.add(task)
        task.add_done_callback(self._undetermined.discard)

    async def _determine_outcome(
        self, group: Sequence[PostgresWork], receipt: str, error: Exception
    ) -> None:
        ids = {"receipt": receipt, "error": error_text(error)}
        try:
            outcome = await find_out(self._pool, receipt)
            _mark(group, None if outcome is CommitOutcome.NOT_WRITTEN else outcome)
            refuse(group, error)
        finally:  # if canceled at the end of the program, the outcome stays unknown
            for work in group:
                work.deferred = False
                work.deliver()
        if outcome is CommitOutcome.UNKNOWN:
            log.error("commit.unknown", **ids)
        while outcome is CommitOutcome.UNKNOWN:
            # Determine it as soon as the database is back, for the log: no caller waits any more.
            await asyncio.sleep(OUTCOME_RETRY_SECONDS)
            outcome = await find_out(self._pool, receipt)
        log.warning("commit.cleared_up", outcome=outcome.value, **ids)


async def _run_batches(pipeline: Pipeline, group: Sequence[PostgresWork]) -> None:
    for batch in conflict_free_batches(group, lambda work: work.conflict_keys):
        for work in batch:
            work.begin()
        if batch[0].conflict_keys is None:
            await pipeline.finish()  # it may read what the others have written
        await pipeline.run(concurrently([work.attempt() for work in batch]))
        if any(work.spoils for work in batch):
            raise GroupSpoiltError
    await pipeline.finish()


def refuse(group: Sequence[PostgresWork], error: BaseException) -> None:
    """Mark the writes of a group as not written, except those with a known outcome."""
    for work in group:
        if work.outcome is None:
            work.error = StoreError(f"The database refused a write: {error_text(error)}")


def _mark(group: Sequence[PostgresWork], outcome: CommitOutcome | None) -> None:
    for work in group:
        work.outcome = outcome
