"""The audit trail in the store: an entry exists if and only if its change does."""

from dataclasses import replace

import pytest

from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import EndpointNotFoundError
from reelhook.ports import AuditFilter, DeliveryFilter, Resend
from reelhook.storage.store import Store

from .samples import ENDPOINT, NOW, change, moved, new, queued, submitting, telling

ANY = AuditFilter()
KEY = Caller("prj_1", frozenset({Scope.ADMIN}), key_id="key_1", key_name="shop", address="::1")


def entry(action: Action, target: str, *, at: int = NOW) -> AuditEntry:
    return AuditEntry.by(KEY, at, action, target, "prj_1")


async def actions(store: Store, wanted: AuditFilter = ANY) -> list[str]:
    page = await store.audit_entries(wanted, 50, None)
    return [one.action.value for _, one in page.entries]


async def test_changes_of_an_endpoint_are_kept_with_what_differs(store: Store) -> None:
    await store.create_endpoint(ENDPOINT, entry(Action.ENDPOINT_CREATED, "ep_1"))
    changing = entry(Action.ENDPOINT_CHANGED, "ep_1")
    await store.change_endpoint("ep_1", lambda one: replace(one, concurrency=3), changing)
    await store.change_endpoint("ep_1", lambda one: one.disable(NOW), changing)
    await store.delete_endpoint("ep_1", NOW, entry(Action.ENDPOINT_REMOVED, "ep_1"))
    page = await store.audit_entries(ANY, 50, None)
    removed, disabled, changed, created = (one for _, one in page.entries)
    assert created.before is None
    assert created.after is not None
    assert created.after["events"] == ("completed", "failed", "processing", "progress", "queued")
    assert (changed.before, changed.after) == ({"concurrency": None}, {"concurrency": 3})
    assert (disabled.before, disabled.after) == ({"enabled": True}, {"enabled": False})
    assert removed.after is None
    assert removed.before is not None
    assert removed.before["concurrency"] == 3
    assert (created.key_id, created.key_name, created.address) == ("key_1", "shop", "::1")


async def test_a_change_that_is_refused_or_changes_nothing_leaves_no_entry(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    changing = entry(Action.ENDPOINT_CHANGED, "ep_1")
    await store.change_endpoint("ep_1", lambda one: one, changing)
    await store.change_endpoint("ep_1", replace, changing)
    with pytest.raises(EndpointNotFoundError):
        await store.change_endpoint("ep_2", lambda one: one.disable(NOW), changing)
    with pytest.raises(EndpointNotFoundError):
        await store.delete_endpoint("ep_2", NOW, entry(Action.ENDPOINT_REMOVED, "ep_2"))
    assert await actions(store) == []


async def test_a_change_of_a_job_and_its_entry_stand_or_fall_together(store: Store) -> None:
    job = await queued(store, new("job_1"), "video_1")
    audit = entry(Action.JOB_CANCELED, "job_1")
    canceled = replace(change(job.cancel(NOW)), audit=audit)
    assert await store.record([canceled], None) == ["job_1"]
    assert await store.record([canceled], None) == []  # it has changed since it was read
    assert await actions(store) == ["job.canceled"]


async def test_a_new_job_is_on_record_once(store: Store) -> None:
    made = replace(new("job_1"), audit=entry(Action.JOB_REGISTERED, "job_1"))
    made = replace(made, job=made.job.accept("video_1", NOW))
    await store.create(made)
    assert (await store.create(replace(made, job=replace(made.job, id="job_2")))).replayed
    assert await actions(store) == ["job.registered"]


async def test_a_doubt_is_settled_by_one_person(store: Store) -> None:
    job = await submitting(store, new("job_1"))
    await moved(store, job.fail("submission_unknown", "Nobody knows", NOW))
    abandoning = entry(Action.JOB_ABANDONED, "job_1")
    assert await store.close_doubt("job_1", NOW, abandoning)
    assert not await store.close_doubt("job_1", NOW, abandoning)
    assert await actions(store) == ["job.abandoned"]


async def test_a_resend_belongs_to_the_project_of_its_job(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    [known] = (await store.deliveries(DeliveryFilter(job_id="job_1"), 9, None)).deliveries
    resending = entry(Action.DELIVERY_RESENT, str(known.delivery.id))
    await store.resend_one(known.delivery.id, None, NOW, resending)
    await store.start_resend(
        Resend("resend_1", NOW - 1, NOW), entry(Action.DELIVERIES_RESENT, "resend_1")
    )
    (_, started), (_, resent) = (await store.audit_entries(ANY, 50, None)).entries
    assert (started.project, started.target) == ("prj_1", "resend_1")
    assert (resent.project, resent.before) == ("default", None)
    assert resent.after is not None
    assert resent.after["jobId"] == "job_1"


async def test_a_pause_is_on_record_when_it_begins_and_when_it_ends(store: Store) -> None:
    pausing, resuming = (
        replace(entry(action, "watcher"), project=None)
        for action in (Action.WATCHER_PAUSED, Action.WATCHER_RESUMED)
    )
    await store.resume_watching(resuming)
    for _ in range(2):
        await store.pause_watching(NOW, pausing)
    for _ in range(2):
        await store.resume_watching(resuming)
    assert await actions(store) == ["watcher.resumed", "watcher.paused"]
    assert await actions(store, AuditFilter(project="prj_1")) == []


async def test_the_trail_is_filtered_and_read_page_by_page(store: Store) -> None:
    for number in range(5):
        created = entry(Action.ENDPOINT_CREATED, f"ep_{number}", at=NOW + number)
        endpoint = replace(ENDPOINT, id=f"ep_{number}", project=f"prj_{number % 2}")
        await store.create_endpoint(endpoint, created)

    async def targets(wanted: AuditFilter) -> list[str]:
        page = await store.audit_entries(wanted, 50, None)
        return [one.target for _, one in page.entries]

    assert await targets(AuditFilter(project="prj_1")) == ["ep_3", "ep_1"]
    assert await targets(AuditFilter(target="ep_2")) == ["ep_2"]
    assert await targets(AuditFilter(since=NOW + 3)) == ["ep_4", "ep_3"]
    assert await targets(AuditFilter(action=Action.JOB_ADOPTED)) == []
    page = await store.audit_entries(ANY, 3, None)
    assert page.next_cursor is not None
    rest = await store.audit_entries(ANY, 3, page.next_cursor)
    assert [one.target for _, one in (*page.entries, *rest.entries)] == [
        *("ep_4", "ep_3", "ep_2"),
        *("ep_1", "ep_0"),
    ]
    assert rest.next_cursor is None
