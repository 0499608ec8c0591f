"""A deleted job: gone for every read, but its id, its video and its costs are still known."""

from dataclasses import replace

import pytest

from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import OPERATOR, Actor
from reelhook.domain.conflicts import JobDeletedError, JobIdTakenError
from reelhook.domain.errors import DeliveryNotFoundError, JobNotFoundError
from reelhook.domain.job import Job
from reelhook.domain.media import File, reference
from reelhook.domain.request import VideoRequest
from reelhook.ports import (
    ALL_JOBS,
    Acceptance,
    AuditFilter,
    Change,
    DeliveryFilter,
    IdempotencyKey,
    JobFilter,
)
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ACCOUNT,
    CAT,
    FINISHED,
    NOW,
    OK,
    RUNNING,
    change,
    due_now,
    moved,
    new,
    queued,
    registered,
    settled,
    stored,
    submitting,
)

SECRETS = "purple elephant"
RICH = VideoRequest(
    prompt=f"A {SECRETS}",
    model="sora-2",
    title=f"The {SECRETS}",
    image=f"https://h.example/{SECRETS}.png",
    last_frame=f"https://h.example/{SECRETS}.png",
    reference_images=(f"https://h.example/{SECRETS}.png",),
    negative_prompt=f"no {SECRETS}",
    options={"style": SECRETS},
    door_fields={"wallet_address": SECRETS},
)


async def completed(store: Store, job_id: str = "job_1", at: int = NOW) -> Job:
    made = new(job_id, request=RICH, at=at, urls=[f"https://h.example/{SECRETS}"])
    labelled = replace(made.job, external_id=SECRETS, metadata=f'{{"name": "{SECRETS}"}}')
    job = await queued(store, replace(made, job=labelled), f"video_{job_id}")
    job = replace(job, charged_amount=0.4, charged_unit="USD")
    job = await moved(store, job.apply(RUNNING, NOW))
    return await moved(store, job.apply(FINISHED, NOW))


async def test_a_deleted_job_is_gone_for_every_read(store: Store) -> None:
    await completed(store)
    await completed(store, "job_2", NOW + 1)
    (delivery,) = (await store.deliveries(DeliveryFilter(job_id="job_1"), 9, None)).deliveries
    assert await store.delete_job("job_1", NOW + 5)
    with pytest.raises(JobNotFoundError):
        await store.job("job_1")
    for wanted in (
        ALL_JOBS,
        JobFilter(model="sora-2"),
        JobFilter(external_id=SECRETS),
        JobFilter(metadata=(("name", SECRETS),)),
        JobFilter(project="default"),
    ):
        page = await store.jobs(wanted, 9, None)
        assert [one.job.id for one in page.jobs] == ["job_2"], wanted
    assert await store.sequences(["job_1", "job_2"]) == {"job_2": 2}
    assert await store.events(["job_1"], {}) == []
    assert {event.job_id for event in (await store.events_after(None, 9)).events} == {"job_2"}
    assert (await store.counts())["completed"] == 1
    assert (await store.counts("default"))["completed"] == 1
    assert {due.delivery.job_id for due in await due_now(store, NOW + 10)} == {"job_2"}
    assert (await store.deliveries(DeliveryFilter(job_id="job_1"), 9, None)).deliveries == ()
    with pytest.raises(DeliveryNotFoundError):
        await store.resend_one(delivery.delivery.id, None, NOW + 6)
    with pytest.raises(JobNotFoundError):
        await store.delete_job("job_1", NOW + 6)


async def test_nothing_of_its_request_stays_in_the_database(store: Store, sql: Sql) -> None:
    await completed(store)
    (due,) = await due_now(store)
    await settled(store, due, OK)
    assert await store.delete_job("job_1", NOW + 5)
    for table in ("jobs", "events", "deliveries", "attempts", "job_metadata", "video_jobs"):
        assert SECRETS not in str(await sql(f"SELECT * FROM {table}")), table  # noqa: S608 - the names above
    assert "cdn.example" not in str(await sql("SELECT * FROM jobs"))
    assert await sql("SELECT * FROM attempts") == []
    assert await sql("SELECT * FROM video_jobs") == []


async def test_its_costs_stay(store: Store) -> None:
    await completed(store)
    before = await store.costs(0, NOW + 10**9)
    assert [(line.jobs, line.charged) for line in before] == [(1, 0.4)]
    assert await store.delete_job("job_1", NOW + 5)
    assert await store.costs(0, NOW + 10**9) == before


async def test_its_id_and_its_provider_s_job_stay_taken(store: Store) -> None:
    await completed(store)
    assert await store.delete_job("job_1", NOW + 5)
    with pytest.raises(JobIdTakenError):
        await store.create(new("job_1"))
    with pytest.raises(JobDeletedError, match="job_1"):
        await store.create(registered("job_9", "video_job_1"))
    known = await store.known_entries([ACCOUNT], "", ["video_job_1"])
    assert known["video_job_1"].created
    other = await submitting(store, new("job_2"))
    taken = change((other.accept("video_job_1", NOW, adopted=True), ()))
    assert await store.accept(taken, None) is Acceptance.TAKEN


async def test_a_repeated_request_for_it_gets_a_clear_error(store: Store, sql: Sql) -> None:
    key = IdempotencyKey("default", "key-1", "print")
    job = await queued(store, new(key=key), "video_1")
    await moved(store, job.apply(FINISHED, NOW))
    assert await store.delete_job("job_1", NOW + 5)
    with pytest.raises(JobDeletedError, match="job_1"):
        await store.create(new("job_2", key=key))
    assert await sql("SELECT id FROM jobs") == [("job_1",)]


async def test_an_unfinished_job_is_not_deleted(store: Store) -> None:
    await stored(store, new("accepted"))
    await submitting(store, new("submitting"))
    await queued(store, new("queued"), "video_1")
    unknown = await submitting(store, new("unknown"))
    await moved(store, unknown.fail("submission_unknown", "Nobody knows", NOW))
    for job_id in ("accepted", "submitting", "queued", "unknown"):
        assert not await store.delete_job(job_id, NOW + 5)
        assert (await store.job(job_id)).request == CAT
    assert await store.close_doubt("unknown", NOW)
    assert await store.delete_job("unknown", NOW + 5)


async def test_the_feed_continues_after_an_event_of_a_deleted_job(store: Store) -> None:
    await completed(store, "job_1")
    last = (await store.events_after(None, 9)).events[-1].event_id
    await completed(store, "job_2", NOW + 1)
    assert await store.delete_job("job_1", NOW + 5)
    page = await store.events_after(last, 9)
    assert (page.restarted, {event.job_id for event in page.events}) == (False, {"job_2"})


async def test_a_list_continues_after_a_job_that_was_deleted(store: Store) -> None:
    for number in range(3):
        await completed(store, f"job_{number}", NOW + number)
    page = await store.jobs(ALL_JOBS, 1, None)
    assert await store.delete_job("job_2", NOW + 5)
    rest = await store.jobs(ALL_JOBS, 9, page.next_cursor)
    assert [one.job.id for one in rest.jobs] == ["job_1", "job_0"]


async def test_only_its_own_project_deletes_a_job(store: Store) -> None:
    made = new(project="prj_ours", urls=())
    job = await queued(store, made, "video_1")
    await moved(store, job.apply(FINISHED, NOW))
    with pytest.raises(JobNotFoundError):
        await store.delete_job("job_1", NOW, project="prj_theirs")
    assert (await store.job("job_1")).request == CAT
    assert await store.delete_job("job_1", NOW, project="prj_ours")


async def test_the_deletion_is_in_the_audit_trail(store: Store) -> None:
    await completed(store)
    entry = AuditEntry.by(OPERATOR, NOW + 5, Action.JOB_DELETED, "job_1", "default")
    assert await store.delete_job("job_1", NOW + 5, entry)
    (read,) = (await store.audit_entries(AuditFilter(target="job_1"), 9, None)).entries
    assert (read[1].actor, read[1].action) == (Actor.OPERATOR, Action.JOB_DELETED)
    assert (read[1].before, read[1].after) == ({"status": "completed"}, None)


async def test_a_late_change_of_a_deleted_job_is_not_written(store: Store) -> None:
    before = await queued(store, new(), "video_1")
    await moved(store, before.cancel(NOW))
    assert await store.delete_job("job_1", NOW + 5)
    assert await store.record([Change(before.apply(FINISHED, NOW)[0])], None) == []


async def test_a_late_attempt_for_a_deleted_job_is_not_recorded(store: Store, sql: Sql) -> None:
    await completed(store)
    (due,) = await due_now(store)
    assert await store.delete_job("job_1", NOW + 5)
    with pytest.raises(AssertionError):  # `settle` returned None
        await settled(store, due, OK)
    assert await sql("SELECT * FROM attempts") == []


async def test_a_deleted_job_is_removed_like_others(store: Store, sql: Sql) -> None:
    await completed(store)
    assert await store.delete_job("job_1", NOW + 5)
    assert (await store.remove_jobs((), NOW + 10, NOW + 10)).removed == 1
    assert await sql("SELECT * FROM jobs") == []


async def test_its_files_go_unless_another_job_has_them(store: Store, sql: Sql) -> None:
    shared, own = File("image/png", b"\x89PNG\r\n\x1a\nshared"), File("image/png", b"\x89PNG")
    for job_id, files in (("job_1", (shared, own)), ("job_2", (shared,))):
        images = tuple(reference(file.hash) for file in files)
        made = replace(new(job_id, request=replace(CAT, reference_images=images)), files=files)
        await store.create(made)
        await moved(store, (await store.job(job_id)).job.cancel(NOW))
    assert await store.delete_job("job_1", NOW + 5)
    assert await sql("SELECT hash FROM files") == [(shared.hash,)]
    assert await sql("SELECT job_id FROM job_files") == [("job_2",)]
    assert await store.delete_job("job_2", NOW + 5)
    assert await sql("SELECT hash FROM files") == []
