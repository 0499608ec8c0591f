"""Group commit on SQLite: the writes that wait together share a transaction."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import apsw
import structlog

from reelhook.domain.errors import CommitUnknownError, StoreError
from reelhook.storage.operation import Operation, Row, Statement, StatementBatch
from reelhook.storage.operations.receipts import ASK, CLAIM, FORGET, LEAVE, CommitOutcome, Receipts
from reelhook.storage.sqlite.refusals import reason

T = TypeVar("T")
log = structlog.get_logger()
CLAIM_TRIES = 3
CLAIM_AGAIN_SECONDS = 0.1
# Raised before the end of the transaction is in the log, so that no recovery finds it there.
_BEFORE_THE_END = (apsw.FullError, apsw.BusyError, apsw.ConstraintError, apsw.ReadOnlyError)


def run(connection: apsw.Connection, operation: Operation[T]) -> T:
    """Run one operation to its end on this connection."""
    rows: Any = None
    while True:
        try:
            asked = operation.send(rows)
        except StopIteration as stop:
            return cast("T", stop.value)
        if isinstance(asked, StatementBatch):
            rows = [_rows(connection, statement) for statement in asked.statements]
        else:
            rows = _rows(connection, asked)


def _rows(connection: apsw.Connection, statement: Statement) -> list[Row]:
    return connection.execute(statement.sql, statement.parameters).fetchall()


class SQLiteWork:
    """An operation on its way through the writer, and the future of its result."""

    __slots__ = ("error", "future", "make", "result")

    def __init__(self, make: Callable[[], Operation[Any]], future: "asyncio.Future[Any]") -> None:
        self.make = make
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


class _SpoiltError(Exception):
    """One operation's failure undoes the transaction that others share with it."""


class _CommitFailedError(Exception):
    """COMMIT raised `error`: what became of the transaction is told by its receipt."""

    def __init__(self, receipt: str, error: Exception) -> None:
        super().__init__(receipt)
        self.receipt = receipt
        self.error = error


def _unwritten(error: BaseException) -> str:
    return f"The database can't be written: {reason(error)}"


class SQLiteGroups:
    """Commits groups, in the writer's thread, on the one connection that `open_file` opens.

    The first one may be open already. `committed` gets the receipt of each transaction.
    """

    def __init__(
        self,
        open_file: Callable[[], apsw.Connection],
        connection: apsw.Connection | None = None,
        committed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._open = open_file
        self._connection = connection or open_file()
        self._receipts = Receipts()
        self._committed = committed

    def _commit(self, group: list[SQLiteWork]) -> None:
        try:
            self._undo()  # what the last group left behind, where that could not be undone then
            try:
                self._commit_as_one(group)
            except _SpoiltError:
                self._undo()
                self._commit_apart(group)
        except Exception as error:  # whatever it was: the writer lives on, and no caller hangs
            outcome = CommitOutcome.NOT_WRITTEN
            if isinstance(error, _CommitFailedError):
                outcome, error = self._cleared_up(error.receipt, error.error), error.error
            if outcome is CommitOutcome.WRITTEN:
                return
            for work in group:
                work.error = (
                    CommitUnknownError()
                    if outcome is CommitOutcome.UNKNOWN
                    else StoreError(_unwritten(error))
                )
            with contextlib.suppress(Exception):  # else before the next group
                self._undo()

    def _undo(self) -> None:
        """End the transaction that is open, if there is one.

        Where that fails the connection is replaced: its end undoes the transaction as well. Raises
        `SettingsError` when no other one can be opened.
        """
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except Exception as error:
            log.warning("writer.reopens", error=_unwritten(error))
            with contextlib.suppress(Exception):
                self._connection.close(True)
            self._connection = self._open()

    def _commit_as_one(self, group: list[SQLiteWork]) -> None:
        """Commit a group in which no operation fails half-way, as hardly any does.

        Raises `_SpoiltError` where one did: without savepoints it can't be undone alone. Those
        would cost each operation two fifths of its time.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        before = self._connection.total_changes()
        for work in group:
            changes = self._connection.total_changes()
            self._attempt(work)
            if work.error is None:
                continue
            # Some errors end the transaction by themselves: then nothing may go on as if in it.
            if self._connection.total_changes() != changes or not self._connection.in_transaction:
                raise _SpoiltError
        self._end(wrote=self._connection.total_changes() != before)

    def _commit_apart(self, group: list[SQLiteWork]) -> None:
        """Commit a group in which a failing operation undoes itself alone."""
        self._connection.execute("BEGIN IMMEDIATE")
        for work in group:
            self._connection.execute("SAVEPOINT work")
            self._attempt(work)
            if work.error is not None:
                self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
        self._end(wrote=True)

    def _end(self, *, wrote: bool) -> None:
        """Commit. Raises `_CommitFailedError` when it is not sure what became of that."""
        if not wrote:
            self._connection.execute("COMMIT")
            return
        receipt = self._receipts.new()
        self._connection.execute(FORGET, (self._receipts.spent,))
        self._connection.execute(LEAVE, (receipt,))
        try:
            self._connection.execute("COMMIT")
        except Exception as error:
            raise _CommitFailedError(receipt, error) from error
        self._receipts.spent = receipt
        self._committed(receipt)

    def _cleared_up(self, receipt: str, error: Exception) -> CommitOutcome:
        """Find out what became of a transaction whose COMMIT failed.

        SQLite may have committed it before it raised. Where it did not, the transaction may stand
        in the log all the same, whole, though nobody sees it: a restart would find it there. What
        is committed after it takes its place in the log, and that is what the claim is for.
        """
        outcome = CommitOutcome.UNKNOWN
        for number in range(CLAIM_TRIES):
            time.sleep(number * CLAIM_AGAIN_SECONDS)  # the writer's own thread
            try:
                outcome = self._claimed(receipt)
                break
            except Exception as failure:
                log.warning("commit.not_cleared_up", receipt=receipt, error=_unwritten(failure))
        else:
            if self._is_there(receipt):
                outcome = CommitOutcome.WRITTEN
            elif isinstance(error, _BEFORE_THE_END):
                outcome = CommitOutcome.NOT_WRITTEN
        if outcome is CommitOutcome.UNKNOWN:
            log.error("commit.unknown", receipt=receipt, error=_unwritten(error))
        else:
            ids = {"receipt": receipt, "outcome": outcome.value}
            log.warning("commit.cleared_up", error=_unwritten(error), **ids)
        return outcome

    def _claimed(self, receipt: str) -> CommitOutcome:
        self._undo()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(CLAIM, (receipt,))
        ((written,),) = self._connection.execute(ASK, (receipt,)).fetchall()
        self._connection.execute("COMMIT")
        return CommitOutcome.WRITTEN if written else CommitOutcome.NOT_WRITTEN

    def _is_there(self, receipt: str) -> bool:
        with contextlib.suppress(Exception):  # then it is not known either
            self._undo()
            rows = self._connection.execute(ASK, (receipt,)).fetchall()
            return bool(rows and rows[0][0])
        return False

    def _attempt(self, work: SQLiteWork) -> None:
        work.result, work.error = None, None
        try:
            work.result = run(self._connection, work.make())
        except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError):
            raise  # the disk, not the operation: the whole group fails
        except apsw.Error as error:
            work.error = StoreError(f"The database refused a write: {error}")
        except Exception as error:
            work.error = error
