"""Statements for which PostgreSQL could choose a bad plan, by its estimates of a large table."""

from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import delivery_log
from reelhook.storage.postgres.driver import PostgreSQL

_ATTEMPTS = """
INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms, answer)
SELECT n / 10, '', 1, n % 10, n, 30, '' FROM generate_series(1, 20000) AS n
"""


def _plan_with_many_attempts() -> Operation[str]:
    yield Statement("SET LOCAL session_replication_role = replica")  # no delivery is needed
    yield Statement(_ATTEMPTS)
    yield Statement("ANALYZE attempts")
    statement = next(delivery_log.attempts(7, 30))
    assert isinstance(statement, Statement)
    rows = yield Statement(f"EXPLAIN {statement.sql}", statement.parameters)
    return "\n".join(row[0] for row in rows)


async def test_attempts_of_a_delivery_are_read_by_their_index(url: str) -> None:
    database = await PostgreSQL.open(url)
    try:
        plan = await database.background(_plan_with_many_attempts)
    finally:
        await database.close()
    assert "attempts_of_delivery" in plan
    assert "attempts_pkey" not in plan
