"""Many waiting deliveries at once, by SQL alone."""

from reelhook.domain.endpoint import lane_of
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import (
    endpoint_wakeups,
)

_JOBS = """
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?1)
INSERT INTO jobs (id, account, status, script, title, model, render_version, created_at,
  updated_at, sequence)
SELECT ?2 || x, 'acme', 'processing', '', '', '', 'v3',
  CAST(?3 AS BIGINT), CAST(?3 AS BIGINT), 1 FROM n
"""
_EVENTS = """
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?1)
INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body, position)
SELECT 'evt_' || ?2 || x || '_1', ?2 || x, 1, 'status', 'processing', 0, CAST(?3 AS BIGINT), ?4,
  x + (SELECT coalesce(max(position), 0) FROM events) FROM n
"""
_DELIVERIES = """
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?1)
INSERT INTO deliveries (job_id, endpoint_id, lane, url, status_sequence, due_at)
SELECT ?2 || x, ?4, CAST(?5 AS INTEGER), '', 1, CAST(?3 AS BIGINT) + x - 1 FROM n
"""


def crowd(endpoint_id: str, count: int, *, at: int, prefix: str = "crowd_") -> Operation[None]:
    """Let that many jobs wait at an endpoint, each with one change of status.

    The first is due `at`, each of the others a millisecond after the one before.
    """
    yield Statement(_JOBS, (count, prefix, at))
    yield Statement(_EVENTS, (count, prefix, at, b"{}"))
    yield Statement(_DELIVERIES, (count, prefix, at, endpoint_id, lane_of(endpoint_id)))
    yield from endpoint_wakeups.wake(endpoint_id, at)
