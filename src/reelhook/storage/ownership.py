"""Operations on what a worker owns and keeps: leases, accounts, our own keys."""

from collections.abc import Sequence

from reelhook.domain.event import Instant
from reelhook.ports import Lease
from reelhook.storage.operation import Operation, Statement


def take_leases(ids: Sequence[str], owner: str, lease_until: Instant) -> Operation[list[Lease]]:
    """Take leases at once, whoever had them, with a new epoch.

    Only for the owner of a locked file: the lock proves that no one else is alive.
    """
    leases = []
    for lease_id in ids:
        rows = yield Statement(
            "INSERT INTO leases (id, owner, epoch, lease_until) VALUES (?1, ?2, 1, ?3)"
            " ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, epoch = leases.epoch + 1,"
            " lease_until = excluded.lease_until RETURNING epoch",
            (lease_id, owner, lease_until),
        )
        leases.append(Lease(lease_id, rows[0][0]))
    return leases


def listing_proven(account: str) -> Operation[bool]:
    """Return whether an id that we created was ever seen in this account's listing."""
    rows = yield Statement("SELECT listing_proven FROM accounts WHERE id = ?1", (account,))
    return bool(rows and rows[0][0])


def prove_listing(account: str) -> Operation[None]:
    """Keep that it was."""
    yield Statement(
        "INSERT INTO accounts (id, listing_proven) VALUES (?1, TRUE)"
        " ON CONFLICT (id) DO UPDATE SET listing_proven = TRUE",
        (account,),
    )


def record_round(account: str, now: Instant) -> Operation[None]:
    """Keep when the account's last round ended."""
    yield Statement(
        "INSERT INTO accounts (id, round_at) VALUES (?1, ?2)"
        " ON CONFLICT (id) DO UPDATE SET round_at = excluded.round_at",
        (account, now),
    )


def last_round(account: str) -> Operation[Instant | None]:
    """Return when the account's last round ended."""
    rows = yield Statement("SELECT round_at FROM accounts WHERE id = ?1", (account,))
    return rows[0][0] if rows else None


def record_check(job_id: str, now: Instant) -> Operation[None]:
    """Keep when a job was last read by itself."""
    yield Statement("UPDATE jobs SET checked_at = ?2 WHERE id = ?1", (job_id, now))


def forget_idempotency_keys(created_before: Instant) -> Operation[int]:
    """Delete keys made before that moment; return how many."""
    rows = yield Statement(
        "DELETE FROM idempotency_keys WHERE created_at < ?1 RETURNING 1", (created_before,)
    )
    return len(rows)


def key(name: str, made: str) -> Operation[str]:
    """Return a key of our own, kept from its first use on."""
    yield Statement(
        "INSERT INTO keys (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        (name, made),
    )
    rows = yield Statement("SELECT value FROM keys WHERE name = ?1", (name,))
    return str(rows[0][0])
