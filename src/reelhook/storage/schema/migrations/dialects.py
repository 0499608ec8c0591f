"""What the revisions write differently for SQLite and PostgreSQL."""

from typing import Any

import sqlalchemy as sa
from alembic import op

Counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""An id that the database counts up."""


def where(condition: str) -> dict[str, Any]:
    """Return the arguments that make an index partial."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def iso(milliseconds: str) -> str:
    """Return the expression that writes a moment as ISO 8601 in UTC."""
    if is_sqlite():
        return f"strftime('%Y-%m-%dT%H:%M:%fZ', ({milliseconds}) / 1000.0, 'unixepoch')"
    return (
        f"to_char(to_timestamp(({milliseconds}) / 1000.0) AT TIME ZONE 'UTC',"
        # What looks like a parameter behind a colon is none.
        r""" 'YYYY-MM-DD"T"HH24\:MI\:SS.MS"Z"')"""
    )


def later(one: str, other: str) -> str:
    """Return the expression of the later of two moments."""
    return f"{'max' if is_sqlite() else 'greatest'}({one}, {other})"


def is_sqlite() -> bool:
    """Whether the revision runs on SQLite."""
    return bool(op.get_context().dialect.name == "sqlite")
