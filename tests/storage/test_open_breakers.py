"""An endpoint with an open breaker gets one delivery at a time."""

from dataclasses import replace

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.endpoint import url_id
from reelhook.domain.report import Progress
from reelhook.ports import DueDeliveries
from reelhook.storage.store import Store

from .samples import (
    ENDPOINT,
    FAILED,
    FINISHED,
    NOW,
    OK,
    REFUSED,
    due_now,
    exhausted,
    jobs,
    look,
    moved,
    new,
    queued,
    settled,
    telling,
)

OTHER = "https://other.example/hook"
WISHING = WebhookResponse(duration_ms=7, status=503, retry_after_seconds=60)


async def open_breaker(store: Store, probe_due_at: int = NOW + 5000) -> None:
    health = CircuitBreaker(5, NOW, probe_due_at, 5000)
    await store.change_endpoint("ep_1", lambda one: replace(one, health=health))


async def three_waiting(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    for number in range(3):
        await telling(store, f"job_{number}", endpoints=["ep_1"], at=NOW + number)
    await open_breaker(store)


async def test_nothing_goes_out_before_the_probe_is_due(store: Store) -> None:
    await three_waiting(store)
    assert await look(store, NOW + 4999) == DueDeliveries((), NOW + 5000)


async def test_the_oldest_that_waits_is_the_probe(store: Store) -> None:
    await three_waiting(store)
    found = await look(store, NOW + 5000)
    assert (jobs(found), found.next_due_at) == (["job_0"], None)
    assert found.endpoints[0].endpoint.health.open


async def test_the_oldest_end_of_a_job_is_the_probe_where_one_waits(store: Store) -> None:
    await three_waiting(store)
    for number, at in ((2, 10), (1, 20)):
        job = (await store.job(f"job_{number}")).job
        await moved(store, job.apply(FINISHED, NOW + at))
    found = await look(store, NOW + 5000)
    assert jobs(found) == ["job_2"]
    (due,) = found.endpoints[0].deliveries
    assert due.event.sequence == 2


async def test_an_end_that_fails_on_stays_the_probe(store: Store) -> None:
    await three_waiting(store)
    await moved(store, (await store.job("job_1")).job.apply(FAILED, NOW + 10))
    (due,) = await due_now(store, NOW + 5000)
    await settled(store, due, REFUSED, at=NOW + 5000, probe=True)
    await open_breaker(store, NOW + 15_000)
    assert await look(store, NOW + 14_999) == DueDeliveries((), NOW + 15_000)
    assert jobs(await look(store, NOW + 15_000)) == ["job_1"]


async def test_progress_is_the_probe_where_nothing_else_waits(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    job = await queued(store, new(urls=(), endpoints=["ep_1"]), "video_1")
    await moved(store, job.apply(Progress(running=False, percent=50), NOW))
    await open_breaker(store)
    assert jobs(await look(store, NOW + 5000)) == ["job_1"]


async def test_where_nothing_waits_nothing_is_probed(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await open_breaker(store)
    assert await look(store, NOW + 9000) == DueDeliveries((), None)


async def test_a_retry_keeps_its_schedule_between_the_probes(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(store)
    retry = await settled(store, due, REFUSED)
    await open_breaker(store, NOW + 300_000)
    assert retry.due_at is not None
    assert await look(store, retry.due_at - 1) == DueDeliveries((), retry.due_at)
    (again,) = await due_now(store, retry.due_at)
    assert again.delivery == retry
    await open_breaker(store, NOW + 2000)
    assert await look(store, NOW + 1999) == DueDeliveries((), NOW + 2000)
    assert jobs(await look(store, NOW + 2000)) == ["job_1"]


async def test_a_retry_of_another_delivery_than_the_probe_is_held_back(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    for number in range(2):
        await telling(store, f"job_{number}", endpoints=["ep_1"], at=NOW + number)
    await moved(store, (await store.job("job_0")).job.apply(FINISHED, NOW + 2))
    (other,) = [one for one in await due_now(store, NOW + 2) if one.delivery.job_id == "job_1"]
    retry = await settled(store, other, REFUSED)
    await open_breaker(store, NOW + 300_000)
    assert await look(store, retry.due_at or 0) == DueDeliveries((), NOW + 300_000)


async def test_a_lone_delivery_that_is_given_up_frees_the_way_for_the_next(store: Store) -> None:
    await three_waiting(store)
    (due,) = await due_now(store, NOW + 5000)
    await exhausted(store, due, at=NOW + 5000)
    assert jobs(await look(store, NOW + 5000)) == ["job_1"]


async def test_a_probe_comes_no_earlier_than_the_receiver_wished_for(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    await open_breaker(store)
    (due,) = await due_now(store, NOW + 5000)
    await settled(store, due, WISHING, at=NOW + 5000, probe=True)
    await open_breaker(store, NOW + 15_000)
    assert await look(store, NOW + 15_000) == DueDeliveries((), NOW + 65_007)
    assert jobs(await look(store, NOW + 65_007)) == ["job_1"]


async def test_the_wish_still_holds_when_the_breaker_closes_meanwhile(store: Store) -> None:
    await three_waiting(store)
    (due,) = await due_now(store, NOW + 5000)
    await settled(store, due, WISHING, at=NOW + 5000, probe=True)
    (second,) = await due_now(store, NOW + 5000)
    assert second.delivery.job_id == "job_1"
    healthy = replace(ENDPOINT, health=CircuitBreaker(ramp=1))
    await settled(store, second, OK, at=NOW + 5000, endpoint=healthy, reopened=True)
    found = await look(store, NOW + 6000)
    assert (jobs(found), found.next_due_at) == (["job_2"], NOW + 65_007)


async def test_a_busy_endpoint_is_not_probed_again_nor_waited_for(store: Store) -> None:
    await three_waiting(store)
    assert await look(store, NOW + 5000, busy=frozenset({"ep_1"})) == DueDeliveries((), None)


async def test_an_open_breaker_holds_nobody_else_back(store: Store) -> None:
    await three_waiting(store)
    await telling(store, "healthy", OTHER)
    found = await look(store, NOW + 10)
    assert [one.endpoint.id for one in found.endpoints] == [url_id(OTHER)]
    assert (jobs(found), found.next_due_at) == (["healthy"], NOW + 5000)


async def test_a_disabled_endpoint_is_not_probed(store: Store) -> None:
    await three_waiting(store)
    await store.change_endpoint("ep_1", lambda one: one.disable(NOW))
    assert await look(store, NOW + 9000) == DueDeliveries((), None)
