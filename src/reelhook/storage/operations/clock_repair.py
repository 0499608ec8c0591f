"""Operations that repair times stored under a wrong clock: due later than any wait can last."""

from collections.abc import Sequence

from reelhook.domain.event import Instant
from reelhook.ports.clock_repair import LongestWaits
from reelhook.storage.operation import Operation, Statement

_DELIVERIES = """
UPDATE deliveries SET due_at = ?1,
  not_before = CASE WHEN not_before > ?2 THEN NULL ELSE not_before END
WHERE due_at IS NOT NULL AND due_at - CAST({longest} AS BIGINT) > ?1
  AND (not_before IS NULL OR not_before < due_at OR not_before > ?2)
"""
# It is not stored if a receiver asked for the wait, so each may be as long as that.
_NOTICES = """
UPDATE notices SET due_at = ?1 WHERE due_at > ?2 AND due_at - CAST({longest} AS BIGINT) > ?1
"""
_PROBES = "UPDATE endpoints SET probe_due_at = ?1, next_at = 0 WHERE probe_due_at > ?2"
# A check that comes too early costs one query, so an overdue endpoint is simply checked now.
_ENDPOINTS = """
UPDATE endpoints SET next_at = 0 WHERE next_at > ?1 AND EXISTS (SELECT 1 FROM deliveries d
  WHERE d.lane = endpoints.lane AND d.endpoint_id = endpoints.id AND d.due_at <= ?1)
"""
_FAILING = "UPDATE endpoints SET failing_since = ?1 WHERE failing_since > ?1"
_SUBMITS = (
    "UPDATE jobs SET submit_due_at = ?1, version = version + 1"
    " WHERE status = 'accepted' AND submit_due_at > ?2"
)
_FILES = "UPDATE archive SET due_at = ?1 WHERE state = 'waiting' AND due_at > ?2"
_CHECKS = "UPDATE late_checks SET due_at = ?1 WHERE due_at > ?2"


def repair(now: Instant, longest: LongestWaits) -> Operation[None]:
    """Make everything due now that is due later than the longest possible wait."""
    retries = _by_attempts(longest.retries)
    for waiting in (_DELIVERIES, _NOTICES):
        yield Statement(waiting.format(longest=retries), (now, now + longest.retry_after))
    yield Statement(_PROBES, (now, now + longest.probe))
    yield Statement(_ENDPOINTS, (now,))
    yield Statement(_FAILING, (now,))
    yield Statement(_SUBMITS, (now, now + longest.submit))
    yield Statement(_FILES, (now, now + longest.file))
    yield Statement(_CHECKS, (now, now + longest.check))


def _by_attempts(retries: Sequence[int]) -> str:
    """Return the longest wait as SQL, by the number of attempts made."""
    cases = " ".join(f"WHEN {attempts} THEN {wait:d}" for attempts, wait in enumerate(retries))
    return f"CASE attempts {cases} ELSE {max(retries):d} END"
