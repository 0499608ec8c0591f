"""The treatment of jobs in a restored database, on every kind of database."""

from dataclasses import replace

import pytest

from reelhook.domain.job import Job, Status
from reelhook.domain.listing import ListingFacts
from reelhook.ports import NewJob
from reelhook.storage.operation import Database
from reelhook.storage.operations import history
from reelhook.storage.store import Store

from .conftest import Sql
from .restored import check_restored, furnish, states
from .samples import ACCOUNT, CAT, NOW, moved, new, queued, stored

PRINT = "server.key"


async def sent(store: Store, made: NewJob) -> Job:
    """Store a job that is being created at the server that `PRINT` names."""
    job = await stored(store, made)
    return await moved(store, (job.submitting(NOW, fingerprint=PRINT, after=()), ()))


async def restored_job(database: Database, store: Store, job_id: str) -> Job:
    await database.write(history.restored)
    [job] = await store.jobs_now([job_id])
    return job


async def test_jobs_in_every_state_are_dealt_with(database: Database, store: Store) -> None:
    await furnish(store)
    before = await states(store)
    await database.write(history.restored)
    await check_restored(store, before)


async def test_twice_at_once_goes_further_all_the_same(database: Database, store: Store) -> None:
    await queued(store, new(), "video_1")
    first = await restored_job(database, store, "job_1")
    second = await restored_job(database, store, "job_1")
    assert second.sequence >= first.sequence + history.SEQUENCE_STEP


async def test_a_sequence_stays_within_32_bits(database: Database, store: Store, sql: Sql) -> None:
    await queued(store, new(), "video_1")
    await sql("UPDATE jobs SET sequence = ?1", history.SEQUENCE_MAX - 1)
    for _ in range(3):
        job = await restored_job(database, store, "job_1")
    assert history.SEQUENCE_MAX <= job.sequence < 2**31 - history.SEQUENCE_STEP


async def test_what_waits_is_sought_above_the_newest_that_is_known(
    database: Database, store: Store
) -> None:
    await store.record_listing_facts(ACCOUNT, ListingFacts(PRINT, first_id="video_0"), None)
    job = await sent(store, new("known"))
    await moved(store, (job.accept("video_1", NOW), ()))
    await stored(store, new("waiting"))
    waiting = await restored_job(database, store, "waiting")
    assert waiting.status is Status.SUBMITTING
    assert waiting.older_entries == ("video_1", "video_0")
    assert waiting.submit_fingerprint == PRINT


async def test_without_a_listing_nothing_is_proven_of_what_waits(
    database: Database, store: Store
) -> None:
    await stored(store, new("waiting"))
    waiting = await restored_job(database, store, "waiting")
    assert waiting.in_doubt_now
    assert (waiting.older_entries, waiting.submit_fingerprint) == (None, None)


@pytest.mark.parametrize("under_way", [True, False])
async def test_what_another_model_could_have_made_is_never_proven_absent(
    database: Database, store: Store, under_way: bool
) -> None:
    await store.record_listing_facts(ACCOUNT, ListingFacts(PRINT), None)
    made = new("job_1", request=replace(CAT, fallbacks=("runway/gen4.5",)))
    await (sent if under_way else stored)(store, made)
    assert (await restored_job(database, store, "job_1")).submit_fingerprint is None


@pytest.mark.parametrize("under_way", [True, False])
@pytest.mark.parametrize("pinned", [True, False])
async def test_what_another_account_could_have_made_is_proven_absent_only_if_it_was_named(
    database: Database, store: Store, under_way: bool, pinned: bool
) -> None:
    for account in (ACCOUNT, "other"):
        await store.record_listing_facts(account, ListingFacts(PRINT), None)
    made = new("job_1")
    made = replace(made, job=replace(made.job, pinned=pinned))
    await (sent if under_way else stored)(store, made)
    fingerprint = (await restored_job(database, store, "job_1")).submit_fingerprint
    assert fingerprint == (PRINT if pinned else None)
