"""Group commit on SQLite: writes that are waiting at the same time share a transaction."""

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import apsw
import structlog

from reelhook.domain.errors import CommitUnknownError, StoreError
from reelhook.storage.operation import Operation, Row, Statement, StatementBatch
from reelhook.storage.operations.receipts import ASK, CLAIM, FORGET, LEAVE, CommitOutcome, Receipts
from reelhook.storage.pending_write import GroupSpoiltError, PendingWrite
from reelhook.storage.sqlite.refusals import reason

T = TypeVar("T")
log = structlog.get_logger()
CLAIM_TRIES = 3
CLAIM_AGAIN_SECONDS = 0.1
# Errors raised before the transaction's end is in the log, so no recovery can find it there.
_BEFORE_THE_END = (apsw.FullError, apsw.BusyError, apsw.ConstraintError, apsw.ReadOnlyError)


def run(connection: apsw.Connection, operation: Operation[T]) -> T:
    """Run one operation to its end on this connection."""
    rows: Any = None
    while True:
        try:
            yielded = operation.send(rows)
        except StopIteration as stop:
            return cast("T", stop.value)
        if isinstance(yielded, StatementBatch):
            rows = [_rows(connection, statement) for statement in yielded.statements]
        else:
            rows = _rows(connection, yielded)


def _rows(connection: apsw.Connection, statement: Statement) -> list[Row]:
    return connection.execute(statement.sql, statement.parameters).fetchall()


class _CommitFailedError(Exception):
    """COMMIT raised `error`; the receipt shows the outcome of the transaction."""

    def __init__(self, receipt: str, error: Exception) -> None:
        super().__init__(receipt)
        self.receipt = receipt
        self.error = error


def _unwritten(error: BaseException) -> str:
    return f"The database can't be written: {reason(error)}"


class SQLiteGroups:
    """Commits groups in the writer's thread, on a single connection that `open_file` opens.

    The first connection may be open already. `committed` gets the receipt of each transaction.
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

    def _commit(self, group: list[PendingWrite]) -> None:
        try:
            self._undo()  # a transaction that the last group left open
            try:
                self._commit_as_one(group)
            except GroupSpoiltError:
                self._undo()
                self._commit_apart(group)
        except Exception as error:  # any error: the writer continues, and no caller hangs
            outcome = CommitOutcome.NOT_WRITTEN
            if isinstance(error, _CommitFailedError):
                outcome, error = self._outcome_of(error.receipt, error.error), error.error
            if outcome is CommitOutcome.WRITTEN:
                return
            for work in group:
                work.error = (
                    CommitUnknownError()
                    if outcome is CommitOutcome.UNKNOWN
                    else StoreError(_unwritten(error))
                )
            with contextlib.suppress(Exception):  # otherwise before the next group
                self._undo()

    def _undo(self) -> None:
        """Roll back the open transaction, if there is one.

        If that fails the connection is replaced; closing it also undoes the transaction. Raises
        `SettingsError` if no other connection can be opened.
        """
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except Exception as error:
            log.warning("writer.reopens", error=_unwritten(error))
            with contextlib.suppress(Exception):
                self._connection.close(True)
            self._connection = self._open()

    def _commit_as_one(self, group: list[PendingWrite]) -> None:
        """Commit a group without savepoints, which would take two fifths of each operation's time.

        Raises `GroupSpoiltError` in the rare case that an operation fails half-way: without a
        savepoint it cannot be undone alone.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        before = self._connection.total_changes()
        for work in group:
            changes = self._connection.total_changes()
            self._attempt(work)
            if work.error is None:
                continue
            # Some errors end the transaction. Nothing may continue as if it were still open.
            if self._connection.total_changes() != changes or not self._connection.in_transaction:
                raise GroupSpoiltError
        self._end(wrote=self._connection.total_changes() != before)

    def _commit_apart(self, group: list[PendingWrite]) -> None:
        """Commit a group with savepoints, so that a failing operation is undone alone."""
        self._connection.execute("BEGIN IMMEDIATE")
        for work in group:
            self._connection.execute("SAVEPOINT work")
            self._attempt(work)
            if work.error is not None:
                self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
        self._end(wrote=True)

    def _end(self, *, wrote: bool) -> None:
        """Commit. Raises `_CommitFailedError` if the outcome is uncertain."""
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

    def _outcome_of(self, receipt: str, error: Exception) -> CommitOutcome:
        """Find out the outcome of a transaction whose COMMIT failed.

        SQLite may have committed it before it raised. If not, the log may still hold the whole
        transaction, which a restart would recover. The claim is a later commit that overwrites this
        part of the log.
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
        with contextlib.suppress(Exception):  # then it stays unknown
            self._undo()
            rows = self._connection.execute(ASK, (receipt,)).fetchall()
            return bool(rows and rows[0][0])
        return False

    def _attempt(self, work: PendingWrite) -> None:
        work.begin()
        try:
            work.result = run(self._connection, work.make())
        except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError):
            raise  # the disk failed, not the operation, so the whole group fails
        except apsw.Error as error:
            work.error = StoreError(f"The database refused a write: {error}")
        except Exception as error:
            work.error = error
