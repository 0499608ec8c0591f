"""Detects a database that lacks the latest commits, and takes precautions.

A restored copy, or a server that took over without the last commits, does not know everything that
was sent and paid for. Its next actions must not be mistaken for earlier ones.
"""

from enum import Enum

import structlog

from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import lookups

log = structlog.get_logger()
REMEDY = (
    "The database is a copy, or its server took over from another: it does not know what happened "
    "since. Jobs that wait to be created are looked up first; look for orphans, videos "
    "that no job owns, with the doctor"
)
KEY = "history"
"""Our key that identifies the database as it was when last written."""
NEWEST_KEPT = 5
SEQUENCE_STEP = 1000
"""More than the number of events of any job."""
SEQUENCE_MAX = 2_147_000_000
"""Receivers may store a sequence as a 32-bit integer, and our own schema does."""
# Four per second since 2026, more than any job has events. It fits into 32 bits until 2043.
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
# A job in submission may since have moved to another account or model.
_UNPROVABLE = (
    "UPDATE jobs SET version = version + 1, submit_fingerprint = NULL"
    f" WHERE status = 'submitting' AND submit_fingerprint IS NOT NULL AND NOT ({_SOLE})"
)


class Past(Enum):
    """The past of a database, as far as it is known."""

    NEW = "new"
    """It was never opened before."""
    KNOWN = "known"
    """It has every commit ever made."""
    INTERRUPTED = "interrupted"
    """Its machine was restarted: the disk may be an earlier snapshot."""
    RESTORED = "restored"
    """It is a copy, or a server that took over: it may lack commits."""


def log_past(past: Past) -> None:
    """Log a past that is not the usual one."""
    if past is Past.RESTORED:
        log.warning("database.restored", remedy=REMEDY)
    elif past is Past.INTERRUPTED:
        log.info("database.interrupted")


def kept() -> Operation[str | None]:
    """Return the value stored under `KEY`."""
    rows = yield Statement("SELECT value FROM keys WHERE name = ?1", (KEY,))
    return rows[0][0] if rows else None


def resume(past: Past, value: str) -> Operation[None]:
    """Take precautions for actions that may already have been done, and store the identity."""
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
    """Make the next start treat the database as one that was never opened before."""
    yield Statement("DELETE FROM keys WHERE name = ?1", (KEY,))


def distrust() -> Operation[None]:
    """Make the next start treat the database as a copy."""
    yield Statement("UPDATE keys SET value = '' WHERE name = ?1", (KEY,))


def restored() -> Operation[None]:
    """Take precautions for actions that may already have been done: this database is a copy."""
    yield from raise_sequences()
    yield from put_waiting_in_doubt()


def raise_sequences() -> Operation[None]:
    """Raise the sequences of unfinished jobs beyond those of all events that may have been sent.

    They follow the time, so that a second restore of the same copy exceeds the first.
    """
    yield Statement(_RAISE)


def put_waiting_in_doubt() -> Operation[None]:
    """Have waiting jobs looked up before they are created: they may already have been created.

    Their absence is proven only by the one listing that they can be in. A job that another account
    or another model could have taken is never sent again automatically.
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
