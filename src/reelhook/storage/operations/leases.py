"""Operations on the leases of workers."""

from collections.abc import Sequence

from reelhook.domain.worker import WorkerLeases
from reelhook.ports import SEEN_MILLISECONDS_MAX, Lease
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import client_calls

_FORGET_MILLISECONDS = 60 * 60 * 1000
"""The time for which a dead worker stays in the table."""
_RENEW = (
    "UPDATE leases SET lease_until = now_ms() + ?2 WHERE owner = ?1 AND id LIKE ?3"
    " AND lease_until > 0"
)


def workers() -> Operation[list[WorkerLeases]]:
    """Return the workers with their leases, and the leases that nobody holds."""
    seen = yield Statement("SELECT id, seen_until > now_ms() FROM workers ORDER BY id")
    rows = yield Statement("SELECT id, owner, lease_until > now_ms() FROM leases ORDER BY id")
    held: dict[str | None, list[str]] = {}
    for lease_id, owner, good in rows:
        held.setdefault(owner if good else None, []).append(lease_id)
    alive = {worker: bool(is_alive) for worker, is_alive in seen}
    found = [
        WorkerLeases(worker, alive.get(worker, False), tuple(held.get(worker, ())))
        for worker in sorted({*alive, *(one for one in held if one is not None)})
    ]
    free = tuple(held.get(None, ()))
    return [*found, WorkerLeases(None, alive=False, leases=free)] if free else found


def free_leases() -> Operation[None]:
    """Expire every lease and remove every worker and process.

    Only for the owner of a locked file: the lock proves that no other process is alive.
    """
    yield Statement("UPDATE leases SET lease_until = 0")
    yield Statement("DELETE FROM workers")
    yield Statement("DELETE FROM processes")
    yield from client_calls.break_off()


def heartbeat(
    worker: str, ids: Sequence[str], lease_milliseconds: int
) -> Operation[tuple[list[Lease], int]]:
    """Send a heartbeat, renew the worker's leases, and take free ones up to its share.

    `ids` are the leases of one kind. Return the worker's leases, and the number by which they
    exceed its share. All times are the database's.
    """
    kind = ids[0].partition(":")[0] + ":%"
    yield from _add_missing(ids, kind)
    yield Statement(
        "INSERT INTO workers (id, seen_until) VALUES (?1, now_ms() + ?2)"
        " ON CONFLICT (id) DO UPDATE SET seen_until = excluded.seen_until",
        (worker, lease_milliseconds),
    )
    yield Statement(
        "DELETE FROM workers WHERE seen_until < now_ms() - ?1 OR seen_until > now_ms() + ?2",
        (_FORGET_MILLISECONDS, max(lease_milliseconds, SEEN_MILLISECONDS_MAX)),
    )
    yield Statement(_RENEW, (worker, lease_milliseconds, kind))
    rows = yield Statement("SELECT count(*) FROM workers WHERE seen_until > now_ms()")
    share = -(-len(ids) // max(1, rows[0][0]))
    held = yield from _held(worker, kind)
    if len(held) < share:
        # If two workers choose at once, the second skips the leases that the first takes. It also
        # skips a lease under whose epoch something is being committed. The ids are listed because
        # removed accounts still have leases, which belong to no share.
        wanted = ", ".join(f"?{number}" for number in range(4, 4 + len(ids)))
        yield Statement(
            "UPDATE leases SET owner = ?1, epoch = epoch + 1, lease_until = now_ms() + ?2"
            " WHERE lease_until < now_ms() AND id IN (SELECT id FROM leases"
            f" WHERE id IN ({wanted}) AND lease_until < now_ms() ORDER BY lease_until, id LIMIT ?3"
            " /*pg FOR UPDATE SKIP LOCKED */)",
            (worker, lease_milliseconds, share - len(held), *ids),
        )
        held = yield from _held(worker, kind)
    return held, max(0, len(held) - share)


def _add_missing(ids: Sequence[str], kind: str) -> Operation[None]:
    known = yield Statement("SELECT id FROM leases WHERE id LIKE ?1", (kind,))
    # In a fixed order, so that two workers that start at once do not deadlock.
    for lease_id in sorted(set(ids) - {row[0] for row in known}):
        yield Statement(
            "INSERT INTO leases (id, owner, epoch, lease_until) VALUES (?1, '', 0, 0)"
            " ON CONFLICT (id) DO NOTHING",
            (lease_id,),
        )


def renew(worker: str, lease_milliseconds: int) -> Operation[list[Lease]]:
    """Renew and return a worker's leases."""
    yield Statement(_RENEW, (worker, lease_milliseconds, "%"))
    return (yield from _held(worker, "%"))


def holds(lease: Lease | None) -> Operation[bool]:
    """Return True if the lease is still valid; it stays so until the transaction ends.

    None: no lease is required.
    """
    if lease is None:
        return True
    rows = yield Statement(
        "SELECT 1 FROM leases WHERE id = ?1 AND epoch = ?2 /*pg FOR SHARE */",
        (lease.id, lease.epoch),
    )
    return bool(rows)


def _held(worker: str, kind: str) -> Operation[list[Lease]]:
    rows = yield Statement(
        "SELECT id, epoch FROM leases WHERE owner = ?1 AND id LIKE ?2 AND lease_until > now_ms()"
        " ORDER BY id",
        (worker, kind),
    )
    return [Lease(*row) for row in rows]


def release(worker: str, leases: Sequence[Lease], *, leaving: bool) -> Operation[None]:
    """Expire these leases at once. A worker that is leaving no longer counts for the shares."""
    for lease in leases:
        yield Statement(
            "UPDATE leases SET lease_until = 0 WHERE id = ?1 AND epoch = ?2 AND owner = ?3",
            (lease.id, lease.epoch, worker),
        )
    if leaving:
        yield Statement("DELETE FROM workers WHERE id = ?1", (worker,))
