"""Operations for resolving creates by a listing: jobs, their entries, and facts learned."""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from reelhook.domain.doubt import Known
from reelhook.domain.event import DAY_MILLISECONDS, Instant
from reelhook.domain.job import Job
from reelhook.domain.listing import ListingFacts
from reelhook.domain.request import VideoRequest
from reelhook.ports import Lease, StoredJob
from reelhook.storage.operation import Operation, Row, Statement, concurrently, query
from reelhook.storage.operations.leases import holds
from reelhook.storage.operations.rows import STATE, STORED_JOB, job_of, prompt_of, stored_job_of


def submitting(account: str) -> Operation[list[Job]]:
    """Return the jobs whose create call has no recorded outcome."""
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE account = ?1 AND status = 'submitting'"
        " ORDER BY created_at, id",
        (account,),
    )
    return [job_of(row) for row in rows]


def ended_unknown(accounts: Sequence[str], since: Instant) -> Operation[list[Job]]:
    """Return the jobs that ended unresolved since then."""
    rows = yield Statement(
        f"SELECT {STATE} FROM jobs WHERE code = 'submission_unknown'"
        " AND doubt_closed_at IS NULL AND updated_at >= ?1",
        (since,),
    )
    return [job for row in rows if (job := job_of(row)).account in accounts]


def to_look_up(job_ids: Sequence[str]) -> Operation[list[StoredJob]]:
    """Return jobs with their requests; a hash replaces each image.

    They are read one at a time, because an image may have a megabyte.
    """
    found: list[StoredJob] = []
    for job_id in job_ids:
        rows = yield Statement(f"SELECT {STORED_JOB} FROM jobs WHERE id = ?1", (job_id,))
        found += [_without_image(stored_job_of(row)) for row in rows]
    return found


def _without_image(stored: StoredJob) -> StoredJob:
    image = stored.request.image
    if image is None:
        return stored
    digest = sha256(image.encode()).hexdigest()
    return replace(stored, request=replace(stored.request, image=digest))


def known_entries(
    accounts: Sequence[str], server: str, provider_job_ids: Sequence[str]
) -> Operation[dict[str, Known]]:
    """Return the ids that belong to jobs of these accounts, with the stored facts about each.

    Ids from another server, assigned before the account was moved, do not count.
    """
    wanted = [(account, job_id) for account in accounts for job_id in provider_job_ids]
    found = yield from concurrently(
        [
            query(
                "SELECT submit_attempts > 0 AND NOT adopted, submit_started_at, accepted_at, model,"
                " script, direction, seconds, size, remix_of, id, submit_marked"
                " FROM jobs WHERE account = ?1 AND provider_job_id = ?2"
                " AND (submit_fingerprint IS NULL OR submit_fingerprint LIKE ?3)",
                (*pair, f"{server}.%"),
            )
            for pair in wanted
        ]
    )
    return {
        job_id: _known(rows[0]) for (_, job_id), rows in zip(wanted, found, strict=True) if rows
    }


def _known(row: Row) -> Known:
    created, sent_at, accepted_at, model, script, direction, seconds, size, *others = row
    remix_of, job_id, marked = others
    prompt = prompt_of(script, direction)
    request = VideoRequest(prompt, model, seconds=seconds, size=size, remix_of=remix_of)
    return Known(bool(created), sent_at, accepted_at, request, job_id, bool(marked))


def expected_entries(
    account: str, fingerprint: str, since: Instant, until: Instant, limit: int
) -> Operation[dict[str, Instant]]:
    """Return our entries that the listing must show, with their acceptance times, newest first.

    They were accepted in this period, by this server and with this credential. Jobs that failed,
    were canceled, or whose file has expired are left out, because some servers remove them.
    """
    rows = yield Statement(
        "SELECT provider_job_id, accepted_at FROM jobs WHERE account = ?1"
        " AND submit_fingerprint = ?2 AND created_at >= ?3 AND accepted_at > ?4"
        " AND accepted_at <= ?5 AND submit_attempts > 0 AND NOT adopted"
        " AND status NOT IN ('failed', 'canceled')"
        " AND coalesce(content_expires_at, ?6) >= ?6 ORDER BY created_at DESC LIMIT ?7",
        (account, fingerprint, since - DAY_MILLISECONDS, since, until, until // 1000, limit),
    )
    return {row[0]: row[1] for row in rows}


def newest_entries(account: str, fingerprint: str, limit: int) -> Operation[list[str]]:
    """Return the ids that this server assigned to our creates, newest first."""
    rows = yield Statement(
        "SELECT provider_job_id FROM jobs WHERE account = ?1 AND submit_fingerprint = ?2"
        " AND provider_job_id IS NOT NULL AND NOT adopted ORDER BY created_at DESC LIMIT ?3",
        (account, fingerprint, limit),
    )
    return [row[0] for row in rows]


def listing_facts(account: str) -> Operation[ListingFacts | None]:
    """Return the facts learned about an account's listing."""
    rows = yield Statement(
        "SELECT fingerprint, first_id, first_read_at, delay_max, models, server"
        " FROM listings WHERE account = ?1",
        (account,),
    )
    for fingerprint, first_id, first_read_at, delay_max, models, server in rows:
        shown = frozenset(json.loads(models))
        return ListingFacts(fingerprint, first_id, first_read_at, delay_max, shown, server)
    return None


def record_listing_facts(account: str, facts: ListingFacts, lease: Lease | None) -> Operation[None]:
    """Store the facts learned about a listing. They replace earlier ones."""
    if not (yield from holds(lease)):
        return
    yield Statement(
        "INSERT INTO accounts (id, listing_proven) VALUES (?1, ?2)"
        " ON CONFLICT (id) DO UPDATE SET listing_proven = excluded.listing_proven",
        (account, bool(facts.models)),
    )
    yield Statement(
        "INSERT INTO listings"
        " (account, fingerprint, first_id, first_read_at, delay_max, models, server)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (account) DO UPDATE SET"
        " fingerprint = excluded.fingerprint, first_id = excluded.first_id,"
        " first_read_at = excluded.first_read_at, delay_max = excluded.delay_max,"
        " models = excluded.models, server = excluded.server",
        (
            account,
            facts.fingerprint,
            facts.first_id,
            facts.first_read_at,
            facts.delay_max,
            json.dumps(sorted(facts.models)),
            facts.server,
        ),
    )
