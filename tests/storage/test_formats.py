"""The bodies of events in other formats than the default one, for each delivery."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from reelhook.core.payloads import Formats
from reelhook.domain.endpoint import EventName
from reelhook.domain.errors import UnknownEventError
from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job
from reelhook.doors.compat.payload import CompatPayload
from reelhook.ports import Change, DeliveryFilter, Destination, DueDelivery, Resend
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ENDPOINT,
    FINISHED,
    NOW,
    OK,
    RUNNING,
    Transition,
    due_now,
    exhausted,
    new,
    queued,
    settled,
)

LATE = NOW + 60_000
OWN = "https://own.example/hook"


class Ends:
    """A format that reports only the ends of jobs."""

    events = frozenset({EventName.COMPLETED, EventName.FAILED})

    def body(self, job: Job, event: Event) -> bytes:
        return f"{job.id} {event.status}".encode()

    def test_body(self, message_id: str, now: Instant) -> bytes:
        raise NotImplementedError


FORMATS = Formats(CompatPayload("https://us.example/{}".format), {"ends": Ends()})
IN_ENDS = replace(ENDPOINT, id="ep_ends", format="ends")
BODY = b"job_1 completed"


async def moved(store: Store, transition: Transition) -> Job:
    """Record a transition with bodies in all formats."""
    job, events = transition
    bodies = tuple(FORMATS.default.body(job, event) for event in events)
    change = Change(job, events, bodies, other_body=partial(FORMATS.body, job))
    assert await store.record([change], None) == [job.id]
    return (await store.job(job.id)).job


async def started(store: Store, **destinations: Any) -> Job:
    made = new(urls=(), **{"endpoints": [IN_ENDS.id], **destinations})
    return await queued(store, made, "video_1")


async def bodies(store: Store, now: int = NOW) -> dict[str, tuple[bytes, str]]:
    """The body and the format of what is due, by endpoint."""
    found = await due_now(store, now)
    return {one.delivery.endpoint_id: (one.event.body, one.format) for one in found}


async def the_due(store: Store, now: int = NOW) -> DueDelivery:
    (due,) = await due_now(store, now)
    return due


async def change_format(store: Store, name: str) -> None:
    await store.change_endpoint(IN_ENDS.id, lambda endpoint: replace(endpoint, format=name))


async def test_each_delivery_has_its_format_and_the_feed_has_the_default_one(
    store: Store, sql: Sql
) -> None:
    await store.create_endpoint(IN_ENDS)
    await store.create_endpoint(ENDPOINT)
    job = await started(store, endpoints=[IN_ENDS.id, ENDPOINT.id])
    job = await moved(store, job.apply(RUNNING, NOW))
    assert set(await bodies(store)) == {ENDPOINT.id}  # the other format does not report it
    await moved(store, job.apply(FINISHED, NOW))
    default = (await store.events(["job_1"], {}))[-1].body
    assert await bodies(store) == {IN_ENDS.id: (BODY, "ends"), ENDPOINT.id: (default, "reelhook")}
    assert default.startswith(b'{"jobId"')
    assert (await store.events_after(None, 9)).events[-1].body == default
    assert await sql("SELECT format, body FROM event_bodies") == [("ends", BODY)]


async def test_without_another_format_no_other_body_is_stored(store: Store, sql: Sql) -> None:
    await store.create_endpoint(ENDPOINT)
    job = await started(store, endpoints=[ENDPOINT.id])
    await moved(store, job.apply(FINISHED, NOW))
    assert await sql("SELECT * FROM event_bodies") == []


@pytest.mark.parametrize(("before", "after"), [("reelhook", "ends"), ("ends", "reelhook")])
async def test_a_change_of_the_format_holds_for_later_events(
    store: Store, before: str, after: str
) -> None:
    await store.create_endpoint(replace(IN_ENDS, format=before))
    job = await started(store)
    await moved(store, job.apply(FINISHED, NOW))
    waiting = await bodies(store)
    assert waiting[IN_ENDS.id][1] == before
    await change_format(store, after)
    assert await bodies(store) == waiting
    await queued(store, new("job_2", urls=(), endpoints=[IN_ENDS.id]), "video_2")
    await moved(store, (await store.job("job_2")).job.apply(FINISHED, NOW))
    later = [one for one in await due_now(store) if one.delivery.job_id == "job_2"]
    assert [one.format for one in later] == [after]


async def test_the_format_of_a_request_is_that_of_its_own_delivery_alone(store: Store) -> None:
    own = Destination.to(OWN, body_format="ends")
    made = replace(new(urls=()), destinations=(own,))
    job = await queued(store, made, "video_1")
    await moved(store, job.apply(FINISHED, NOW))
    other = await queued(store, new("job_2", urls=(OWN,)), "video_2")
    await moved(store, other.apply(FINISHED, NOW))
    found = {one.delivery.job_id: one.format for one in await due_now(store)}
    assert found == {"job_1": "ends", "job_2": "reelhook"}
    assert (await store.endpoint(own.endpoint_id)).format == "reelhook"


# -- resends ---------------------------------------------------------------------------------------


async def test_a_resend_has_the_bytes_that_the_first_delivery_had(store: Store) -> None:
    await store.create_endpoint(IN_ENDS)
    job = await started(store)
    await moved(store, job.apply(FINISHED, NOW))
    first = await the_due(store)
    await settled(store, first, OK)
    await change_format(store, "reelhook")
    again = await store.resend_one(first.delivery.id, first.event.sequence, LATE)
    due = await the_due(store, LATE)
    assert (due.event, due.format) == (first.event, "ends")
    await settled(store, due, OK, at=LATE)
    await store.resend_one(again.id, first.event.sequence, LATE + 1)
    assert (await the_due(store, LATE + 1)).event == first.event


async def test_all_that_failed_is_sent_again_in_its_format(store: Store) -> None:
    await store.create_endpoint(IN_ENDS)
    job = await started(store)
    await moved(store, job.apply(FINISHED, NOW))
    await exhausted(store, await the_due(store))
    await change_format(store, "reelhook")
    await store.start_resend(Resend("resend_1", NOW, LATE))
    assert (await store.advance_resend("resend_1", 9, LATE)).resent == 1
    assert (await the_due(store, LATE)).event.body == BODY


async def test_an_event_that_the_format_does_not_report_is_not_resent(store: Store) -> None:
    await store.create_endpoint(IN_ENDS)
    job = await started(store)
    job = await moved(store, job.apply(RUNNING, NOW))
    (delivery,) = (await store.deliveries(DeliveryFilter(), 9, None)).deliveries
    for sequence in (None, job.sequence):
        with pytest.raises(UnknownEventError, match="that the format ends reports"):
            await store.resend_one(delivery.delivery.id, sequence, NOW)
    await moved(store, job.apply(FINISHED, NOW))
    await settled(store, await the_due(store), OK)
    await store.resend_one(delivery.delivery.id, None, LATE)
    assert (await the_due(store, LATE)).event.body == BODY


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("attempts_kept", [True, False])
async def test_an_event_of_the_time_before_the_format_can_be_resent(
    store: Store, sql: Sql, named: bool, attempts_kept: bool
) -> None:
    await store.create_endpoint(replace(IN_ENDS, format="reelhook"))
    job = await started(store)
    await moved(store, job.apply(RUNNING, NOW))
    first = await the_due(store)
    await settled(store, first, OK)
    await change_format(store, "ends")
    if not attempts_kept:
        await sql("DELETE FROM attempts")
    await store.resend_one(first.delivery.id, first.event.sequence if named else None, LATE)
    assert (await the_due(store, LATE)).event == first.event


async def test_bodies_are_removed_with_their_job(store: Store, sql: Sql) -> None:
    await store.create_endpoint(IN_ENDS)
    job = await started(store)
    await moved(store, job.apply(FINISHED, NOW))
    await store.remove_jobs((), LATE, LATE)
    assert await sql("SELECT * FROM event_bodies") == []
