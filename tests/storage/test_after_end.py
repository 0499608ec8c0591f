"""Changes of jobs that have ended: what may change, who is told, and what stays as it was."""

import json
from dataclasses import replace

from reelhook.domain.after_end import archive_failed, recovered
from reelhook.domain.archive import FileState
from reelhook.domain.endpoint import EventName
from reelhook.domain.event import DAY_MILLISECONDS
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Cost, Finished
from reelhook.ports import Change
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ENDPOINT,
    FINISHED,
    NOW,
    change,
    due_now,
    moved,
    new,
    queued,
    take,
)

LATER = NOW + DAY_MILLISECONDS
FOUND = Finished("https://cdn.example/late.mp4", expires_at=1_767_400_000, cost=Cost(0.4, "USD"))
RECOVERED = frozenset({EventName.JOB_RECOVERED})


async def expired(store: Store, *, endpoints: tuple[str, ...] = ()) -> Job:
    """Store a job that was given up by its age."""
    job = await queued(store, new(urls=(), endpoints=endpoints), "video_1")
    return await moved(store, job.fail("expired", "It took too long", NOW))


async def test_a_recovered_job_stays_failed_and_gets_its_video_and_its_charge(store: Store) -> None:
    job = await expired(store)
    assert await store.record_after_end(change(recovered(job, FOUND, LATER)))
    found = (await store.job("job_1")).job
    assert found == replace(
        job,
        version=job.version + 1,
        sequence=job.sequence + 1,
        recovered_at=LATER,
        content_url=FOUND.url,
        content_expires_at=1_767_400_000_000,
        charged_amount=0.4,
        charged_unit="USD",
        updated_at=LATER,
    )
    assert (found.status, found.code) == (Status.FAILED, "expired")
    file = await store.archived_file("job_1")
    assert file is not None
    assert (file.state, file.due_at) == (FileState.WAITING, LATER)
    assert recovered(found, FOUND, LATER) == (found, ())


async def test_only_endpoints_that_name_it_get_it_and_no_waiting_event_is_superseded(
    store: Store,
) -> None:
    wanted = {
        "ep_all": None,
        "ep_both": RECOVERED | {EventName.FAILED},
        "ep_named": RECOVERED,
        "ep_other": frozenset({EventName.ARCHIVE_FAILED}),
        "ep_stranger": RECOVERED,
    }
    for name, events in wanted.items():
        one = replace(ENDPOINT, id=name, project="default" if name != "ep_stranger" else "prj_x")
        await store.create_endpoint(one if events is None else replace(one, events=events))
        assert (await store.endpoint(name)).events == (one.events if events is None else events)
    job = await expired(store, endpoints=("ep_all", "ep_both"))
    assert await store.record_after_end(change(recovered(job, FOUND, LATER)))
    told = {
        (one.delivery.endpoint_id, one.event.sequence, one.delivery.resend_of is not None)
        for one in await due_now(store, LATER)
    }
    assert told == {
        ("ep_all", 1, False),
        ("ep_both", 1, False),
        ("ep_both", 2, True),
        ("ep_named", 2, False),
    }
    body = json.loads((await store.events(["job_1"], {"job_1": 1}))[0].body)
    assert body["event"] == "job.recovered"
    assert (body["status"], body["recovered"], body["code"]) == ("failed", True, "expired")
    assert body["videoUrl"] == "https://us.example/v"


async def test_a_format_that_does_not_report_it_sends_nothing(store: Store) -> None:
    await store.create_endpoint(replace(ENDPOINT, id="ep_1", events=RECOVERED, format="openai"))
    await store.create_endpoint(replace(ENDPOINT, id="ep_2", events=RECOVERED, format="other"))
    job = await expired(store)
    bodies = {"openai": None, "other": b"another form"}
    made = replace(change(recovered(job, FOUND, LATER)), other_body=lambda name, _: bodies[name])
    assert await store.record_after_end(made)
    (due,) = await due_now(store, LATER)
    assert (due.delivery.endpoint_id, due.event.body) == ("ep_2", b"another form")


async def test_a_file_that_is_lost_is_written_with_its_event_or_not_at_all(store: Store) -> None:
    await store.create_endpoint(replace(ENDPOINT, events=frozenset({EventName.ARCHIVE_FAILED})))
    job = await queued(store, new(urls=()), "video_1")
    job = await moved(store, job.apply(FINISHED, NOW))
    file = await store.archived_file("job_1")
    assert file is not None
    made = change(archive_failed(job, "The provider no longer has it", LATER))
    assert await store.record_after_end(made, file.lost("The provider no longer has it"))
    after = (await store.job("job_1")).job
    assert after == replace(job, version=job.version + 1, sequence=job.sequence + 1)
    lost = await store.archived_file("job_1")
    assert lost is not None
    assert lost.state is FileState.LOST
    (due,) = await due_now(store, LATER)
    body = json.loads(due.event.body)
    assert (body["event"], body["status"]) == ("archive.failed", "completed")
    assert body["error"] == "The provider no longer has it"
    again = change(archive_failed(after, "again", LATER))
    assert not await store.record_after_end(again, file.lost("again"))
    assert (await store.job("job_1")).job == after


async def test_a_late_an_early_or_an_outdated_writer_changes_nothing(
    store: Store, sql: Sql
) -> None:
    running = await queued(store, new("job_2", urls=()), "video_2")
    ended = await moved(store, running.fail("expired", "It took too long", NOW))
    transition = recovered(ended, FOUND, LATER)
    (lease,) = await take(store, ["account:acme"], "worker_1")
    assert not await store.record_after_end(
        change(transition), lease=replace(lease, epoch=lease.epoch + 1)
    )
    assert not await store.record_after_end(
        Change(replace(transition[0], version=ended.version - 1))
    )
    assert not await store.record_after_end(
        Change(await queued(store, new("job_3", urls=()), "video_3"))
    )
    assert await store.delete_job("job_2", NOW)
    deleted = replace(transition[0], version=ended.version + 1)
    assert not await store.record_after_end(change((deleted, transition[1])))
    assert await sql("SELECT count(*) FROM events WHERE kind = 'recovered'") == [(0,)]
