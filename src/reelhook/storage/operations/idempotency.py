"""Operations on the idempotency keys of clients."""

from reelhook.domain.errors import IdempotencyKeyReusedError
from reelhook.domain.event import Instant
from reelhook.ports import Created, IdempotencyKey
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import client_calls, receipts


def find(key: IdempotencyKey) -> Operation[Created | None]:
    """Return the job that this key created. Raises `IdempotencyKeyReusedError` for another body."""
    rows = yield Statement(
        "SELECT holder, fingerprint, job_id FROM idempotency_keys WHERE key = ?1", (key.key,)
    )
    candidates = [row for row in rows if key.matches(row[0])]
    if not candidates:
        return None
    # Prefer the holder's own key, then another holder's key with the same body.
    _, fingerprint, job_id = min(
        candidates, key=lambda row: (row[0] != key.holder, row[1] != key.fingerprint)
    )
    if fingerprint != key.fingerprint:
        raise IdempotencyKeyReusedError
    return Created(job_id, replayed=True)


def keep(key: IdempotencyKey, job_id: str, now: Instant) -> Operation[None]:
    """Store a key with the job that it created."""
    yield Statement(
        "INSERT INTO idempotency_keys (holder, key, fingerprint, job_id, created_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5)",
        (key.holder, key.key, key.fingerprint, job_id, now),
    )


def forget(created_before: Instant) -> Operation[int]:
    """Delete keys older than that; return their number. Also delete old calls and receipts."""
    yield from receipts.forget(created_before)
    yield from client_calls.forget(created_before)
    rows = yield Statement(
        "DELETE FROM idempotency_keys WHERE created_at < ?1 RETURNING 1", (created_before,)
    )
    return len(rows)
