"""SQL that differs between SQLite and PostgreSQL in the revisions."""

from typing import Any

import sqlalchemy as sa
from alembic import op

Counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""An id that the database assigns in ascending order."""


def where(condition: str) -> dict[str, Any]:
    """Return the arguments that make an index partial."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def iso(milliseconds: str) -> str:
    """Return the expression that formats a time as ISO 8601 in UTC."""
    if is_sqlite():
        return f"strftime('%Y-%m-%dT%H:%M:%fZ', ({milliseconds}) / 1000.0, 'unixepoch')"
    return (
        f"to_char(to_timestamp(({milliseconds}) / 1000.0) AT TIME ZONE 'UTC',"
        # The colons are escaped, or SQLAlchemy would read parameters there.
        r""" 'YYYY-MM-DD"T"HH24\:MI\:SS.MS"Z"')"""
    )


def later(first: str, second: str) -> str:
    """Return the expression of the later of two times."""
    return f"{'max' if is_sqlite() else 'greatest'}({first}, {second})"


def is_sqlite() -> bool:
    """Return True if the revision runs on SQLite."""
    return bool(op.get_context().dialect.name == "sqlite")
