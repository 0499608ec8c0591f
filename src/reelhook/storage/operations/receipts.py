"""Receipts: they show whether a transaction was committed if the reply to COMMIT was lost.

Each writing transaction inserts its own row into `commits`. A caller that gets no reply claims the
same id for "not written". The unique key admits only one of the two rows, and makes the later one
wait for a transaction that has not ended. So the row that exists is the final result. The row is
ordinary data, so this also works with a pooler and after a failover. A transaction's number might
then belong to another one.
"""

import secrets
from enum import Enum
from itertools import count

from reelhook.domain.event import Instant
from reelhook.storage.operation import Operation, Statement

LEAVE = "INSERT INTO commits (id, written, at) VALUES (?1, TRUE, now_ms())"
"""Inserts a receipt. If the row exists afterwards, its transaction was committed."""
FORGET = "DELETE FROM commits WHERE id = ?1"
CLAIM = (
    "INSERT INTO commits (id, written, at) VALUES (?1, FALSE, now_ms()) ON CONFLICT (id) DO NOTHING"
)
"""Claims a receipt for "not written", unless it exists."""
ASK = "SELECT written FROM commits WHERE id = ?1"
"""Reads, after a claim, whether the transaction was written."""


class CommitOutcome(Enum):
    """The outcome of a transaction."""

    WRITTEN = "written"
    NOT_WRITTEN = "not written"
    """It will never be written."""
    UNKNOWN = "unknown"


class Receipts:
    """The receipts of one writer, which runs one transaction at a time.

    `spent` is the receipt of the last transaction known to be written. It is no longer needed.
    """

    def __init__(self) -> None:
        # Unique among all writers ever. Nothing else depends on it.
        self._writer = secrets.token_hex(16)
        self._numbers = count(1)
        self.spent = ""

    def new(self) -> str:
        """Return the id of the next transaction's receipt. It needs no quoting in SQL."""
        return f"{self._writer}-{next(self._numbers)}"


def inline(sql: str, receipt: str) -> str:
    """Return one of these statements with its parameter in its text."""
    return sql.replace("?1", f"'{receipt}'")


def probe() -> Operation[None]:
    """Write a row that no one reads, to find out whether the database accepts writes."""
    yield Statement(
        "INSERT INTO commits (id, written, at) VALUES ('probe', TRUE, now_ms())"
        " ON CONFLICT (id) DO UPDATE SET at = excluded.at"
    )


def forget(before: Instant) -> Operation[None]:
    """Delete receipts older than that. Their processes have ended."""
    yield Statement("DELETE FROM commits WHERE at < ?1", (before,))
