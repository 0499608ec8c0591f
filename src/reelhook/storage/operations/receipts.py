"""Receipts: how to find out what became of a transaction whose response to COMMIT was lost.

A transaction that writes leaves a row of its own in `commits`. Whoever does not learn what became
of it claims the same id for "not written". The unique key admits one of the two rows and makes the
later one wait for a transaction that has not ended, so the row that is there is the answer, and it
stays the answer. Since it is data of the database that is written to, it holds behind a pooler and
after a failover too, where a transaction's number may belong to another transaction.
"""

import secrets
from enum import Enum
from itertools import count

LEAVE = "INSERT INTO commits (id, written, at) VALUES (?1, TRUE, now_ms())"
"""Leaves a receipt: the transaction that does is written if the row is there after its end."""
FORGET = "DELETE FROM commits WHERE id = ?1"
CLAIM = (
    "INSERT INTO commits (id, written, at) VALUES (?1, FALSE, now_ms()) ON CONFLICT (id) DO NOTHING"
)
"""Claims a receipt for "not written", unless it is there."""
ASK = "SELECT written FROM commits WHERE id = ?1"
"""Tells, once it was claimed, whether the transaction was written."""


class CommitOutcome(Enum):
    """What became of a transaction."""

    WRITTEN = "written"
    NOT_WRITTEN = "not written"
    """Nor will it be written later."""
    UNKNOWN = "unknown"


class Receipts:
    """The receipts of one writer, which has one transaction at a time.

    `spent` is that of the last one that is known to be written: it has served its purpose.
    """

    def __init__(self) -> None:
        # Unique among all writers that ever were; nothing else depends on it.
        self._writer = secrets.token_hex(16)
        self._numbers = count(1)
        self.spent = ""

    def new(self) -> str:
        """Return the id of the next transaction's receipt. It needs no quoting in SQL."""
        return f"{self._writer}-{next(self._numbers)}"


def inline(sql: str, receipt: str) -> str:
    """Return one of these statements with its parameter in its text."""
    return sql.replace("?1", f"'{receipt}'")
