"""Telling whether a database goes on from where it was left, or remembers less than was done.

A restored copy, or a server that took over without the last commits, does not know all that was
sent and paid for. What it does next must not be taken for what was done already.
"""

from enum import Enum

import structlog

from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import lookups

log = structlog.get_logger()
REMEDY = (
    "The database is a copy, or its server took over from another: what happened since is unknown "
    "to it. Jobs that wait to be created are looked up first; look for orphans, videos that no "
    "job owns, with the doctor"
)
KEY = "history"
"""The key of ours that says what the database was when it was last written."""
NEWEST_KEPT = 5
SEQUENCE_STEP = 1000
"""More than the events that a job has in its life."""
SEQUENCE_MAX = 2_147_000_000
"""Receivers may keep a sequence as a 32-bit integer, and so does our own schema."""
# Four a second since 2026, more than any job has events: that fits into 32 bits until 2043.
_FLOOR = "CAST((now_ms() - 1767225600000) / 250 AS BIGINT)"
_UNFINISHED = "status NOT IN ('completed', 'failed', 'canceled')"
_RAISE = (
    "UPDATE jobs SET version = version + 1, sequence = CASE"
    f" WHEN {_FLOOR} > {SEQUENCE_MAX} OR {_FLOOR} < sequence + {SEQUENCE_STEP}"
    f" THEN sequence + {SEQUENCE_STEP} ELSE {_FLOOR} END"
    f" WHERE {_UNFINISHED} AND sequence < {SEQUENCE_MAX}"
)
_SOLE = (
    "(pinned OR NOT EXISTS (SELECT 1 FROM listings WHERE listings.account <> jobs.account))"
    " AND fallbacks IS NULL"
)
_DOUBT = (
    "UPDATE jobs SET version = version + 1, status = 'submitting',"
    " submit_attempts = submit_attempts + 1, submit_started_at = created_at, submit_due_at = NULL,"
    " doubt_since = now_ms(), updated_at = now_ms(), submit_after = CAST(?2 AS TEXT),"
    f" submit_fingerprint = CASE WHEN {_SOLE} THEN CAST(?3 AS TEXT) END"
    " WHERE account = ?1 AND status = 'accepted'"
)
# What is being created may since have gone on to another account or model.
_UNPROVABLE = (
    "UPDATE jobs SET version = version + 1, submit_fingerprint = NULL"
    f" WHERE status = 'submitting' AND submit_fingerprint IS NOT NULL AND NOT ({_SOLE})"
)


class Past(Enum):
    """What is known of a database's past."""

    NEW = "new"
    """It was never asked before."""
    KNOWN = "known"
    """It has everything that was ever committed."""
    INTERRUPTED = "interrupted"
    """The machine under it was started again: it may be a snapshot of an earlier disk."""
    RESTORED = "restored"
    """It is a copy, or a server that took over: more may have been committed than it has."""


def tell(past: Past) -> None:
    """Say in the log what was found, unless it is what is usual."""
    if past is Past.RESTORED:
        log.warning("database.restored", remedy=REMEDY)
    elif past is Past.INTERRUPTED:
        log.info("database.interrupted")


def kept() -> Operation[str | None]:
    """Return what is kept under `KEY`."""
    rows = yield Statement("SELECT value FROM keys WHERE name = ?1", (KEY,))
    return rows[0][0] if rows else None


def go_on(past: Past, value: str) -> Operation[None]:
    """Prepare for what may have been done already, and keep what the database is now."""
    if past in {Past.INTERRUPTED, Past.RESTORED}:
        yield from raise_sequences()
    if past is Past.RESTORED:
        yield from put_waiting_in_doubt()
    yield Statement(
        "INSERT INTO keys (name, value) VALUES (?1, ?2)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (KEY, value),
    )


def forget() -> Operation[None]:
    """Have the database's next start find one that was never asked before."""
    yield Statement("DELETE FROM keys WHERE name = ?1", (KEY,))


def distrust() -> Operation[None]:
    """Have the database's next start find a copy."""
    yield Statement("UPDATE keys SET value = '' WHERE name = ?1", (KEY,))


def restored() -> Operation[None]:
    """Prepare for what may have been done already: somebody says that this is a copy."""
    yield from raise_sequences()
    yield from put_waiting_in_doubt()


def raise_sequences() -> Operation[None]:
    """Have unfinished jobs number their next events beyond all that may have been sent.

    By the time, so that a copy that is restored twice goes beyond the first time too.
    """
    yield Statement(_RAISE)


def put_waiting_in_doubt() -> Operation[None]:
    """Have jobs that wait to be created looked up first: they may have been created already.

    Absence is proven only by the one listing that they can be in. A job that another account or
    another model could have taken is never sent again by itself.
    """
    rows = yield Statement("SELECT DISTINCT account FROM jobs WHERE status = 'accepted'")
    for (account,) in rows:
        facts = yield from lookups.listing_facts(account)
        after: str | None = None
        if facts is not None:
            newest = yield from lookups.newest_entries(account, facts.fingerprint, NEWEST_KEPT)
            known = [*newest, *([facts.first_id] if facts.first_id else [])]
            after = " ".join(known) if known or facts.first_id is not None else None
        yield Statement(_DOUBT, (account, after, facts.fingerprint if facts else None))
    yield Statement(_UNPROVABLE)
