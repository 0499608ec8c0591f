"""Operations on what a worker owns and keeps: leases, accounts, our own keys."""

from collections.abc import Sequence

from reelhook.domain.event import Instant
from reelhook.ports import Lease
from reelhook.storage.operation import Operation, Statement

_REMEMBERED_MILLISECONDS = 60 * 60 * 1000
"""How long a worker that has died is still known."""
_RENEW = (
    "UPDATE leases SET lease_until = now_ms() + ?2 WHERE owner = ?1 AND id LIKE ?3"
    " AND lease_until > 0"
)


def free_leases() -> Operation[None]:
    """Let every lease be taken at once, and count no worker as alive.

    Only for the owner of a locked file: the lock proves that no one else is alive.
    """
    yield Statement("UPDATE leases SET lease_until = 0")
    yield Statement("DELETE FROM workers")


def probe() -> Operation[None]:
    """Write something that nobody reads, to find out whether the database can be written."""
    yield Statement(
        "INSERT INTO commits (id, written, at) VALUES ('probe', TRUE, now_ms())"
        " ON CONFLICT (id) DO UPDATE SET at = excluded.at"
    )


def tend(
    worker: str, ids: Sequence[str], lease_milliseconds: int
) -> Operation[tuple[list[Lease], int]]:
    """Say that a worker is alive, renew what it holds, and take what is free, up to its share.

    `ids` are the leases of one kind. Returns what it holds, and how much of that is beyond its
    share. All by the database's own time.
    """
    kind = ids[0].partition(":")[0] + ":%"
    yield from _know(ids, kind)
    yield Statement(
        "INSERT INTO workers (id, seen_until) VALUES (?1, now_ms() + ?2)"
        " ON CONFLICT (id) DO UPDATE SET seen_until = excluded.seen_until",
        (worker, lease_milliseconds),
    )
    yield Statement(
        "DELETE FROM workers WHERE seen_until < now_ms() - ?1", (_REMEMBERED_MILLISECONDS,)
    )
    yield Statement(_RENEW, (worker, lease_milliseconds, kind))
    rows = yield Statement("SELECT count(*) FROM workers WHERE seen_until > now_ms()")
    share = -(-len(ids) // max(1, rows[0][0]))
    held = yield from _held(worker, kind)
    if len(held) < share:
        # Of two workers that choose at once, the second one passes over what the first one takes.
        # It passes over a lease too under whose epoch something is just being committed.
        # Only of these: accounts that were removed have leases still, and are nobody's share.
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


def _know(ids: Sequence[str], kind: str) -> Operation[None]:
    known = yield Statement("SELECT id FROM leases WHERE id LIKE ?1", (kind,))
    # In one order, since two that start at once would wait for each other.
    for lease_id in sorted(set(ids) - {row[0] for row in known}):
        yield Statement(
            "INSERT INTO leases (id, owner, epoch, lease_until) VALUES (?1, '', 0, 0)"
            " ON CONFLICT (id) DO NOTHING",
            (lease_id,),
        )


def renew(worker: str, lease_milliseconds: int) -> Operation[list[Lease]]:
    """Renew what a worker holds, and return it."""
    yield Statement(_RENEW, (worker, lease_milliseconds, "%"))
    return (yield from _held(worker, "%"))


def holds(lease: Lease | None) -> Operation[bool]:
    """Return whether no one has taken the lease over; no one can before the transaction ends.

    None: no lease is asked for.
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
    """Let others take these leases at once; a worker that is leaving counts no longer."""
    for lease in leases:
        yield Statement(
            "UPDATE leases SET lease_until = 0 WHERE id = ?1 AND epoch = ?2 AND owner = ?3",
            (lease.id, lease.epoch, worker),
        )
    if leaving:
        yield Statement("DELETE FROM workers WHERE id = ?1", (worker,))


def record_round(account: str, now: Instant, lease: Lease | None) -> Operation[None]:
    """Keep when the account's last round ended."""
    if not (yield from holds(lease)):
        return
    yield Statement(
        "INSERT INTO accounts (id, round_at) VALUES (?1, ?2)"
        " ON CONFLICT (id) DO UPDATE SET round_at = excluded.round_at",
        (account, now),
    )


def record_check(job_id: str, now: Instant) -> Operation[None]:
    """Keep when a job was last read by itself."""
    yield Statement("UPDATE jobs SET checked_at = ?2 WHERE id = ?1", (job_id, now))


def forget_idempotency_keys(created_before: Instant) -> Operation[int]:
    """Delete keys made before that moment; return how many. With them go the receipts of processes
    that are gone.
    """
    yield Statement("DELETE FROM commits WHERE at < ?1", (created_before,))
    rows = yield Statement(
        "DELETE FROM idempotency_keys WHERE created_at < ?1 RETURNING 1", (created_before,)
    )
    return len(rows)


def upstream(kind: str) -> Operation[str]:
    """Return which kind of providers the database is used with: the first that it had jobs of."""
    yield Statement(
        "UPDATE keys SET value = ?1 WHERE name = 'upstream' AND NOT EXISTS (SELECT 1 FROM jobs)",
        (kind,),
    )
    return (yield from key("upstream", kind))


def key(name: str, made: str) -> Operation[str]:
    """Return a key of our own, kept from its first use on."""
    yield Statement(
        "INSERT INTO keys (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        (name, made),
    )
    rows = yield Statement("SELECT value FROM keys WHERE name = ?1", (name,))
    return str(rows[0][0])
