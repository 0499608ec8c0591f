"""Runs the store's operations within a revision."""

import re
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import op

from reelhook.storage.at_rest import AtRest
from reelhook.storage.operation import Operation, Row, Statement, StatementBatch

T = TypeVar("T")


def at_rest() -> AtRest:
    """Return what `schema.migrate` was given to decrypt secrets with."""
    config = op.get_context().config
    if config is None:
        raise TypeError(config)
    given: AtRest = config.attributes["at_rest"]
    return given


def run(operation: Operation[T]) -> T:
    """Run an operation in the revision's transaction. Return its result."""
    rows: Any = None  # a generator begins with None
    try:
        while True:
            yielded = operation.send(rows)
            if isinstance(yielded, StatementBatch):
                rows = [_rows(statement) for statement in yielded.statements]
            elif isinstance(yielded, Statement):
                rows = _rows(yielded)
            else:
                raise TypeError(yielded)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _rows(statement: Statement) -> list[Row]:
    text = sa.text(re.sub(r"\?(\d+)", r":p\1", statement.sql))
    values = {f"p{number}": value for number, value in enumerate(statement.parameters, 1)}
    result = op.get_bind().execute(text, values)
    return [tuple(row) for row in result] if result.returns_rows else []
