"""An endpoint at rest is not checked; anything that makes something due there wakes it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.endpoint import DEFAULT_ENDPOINT, Disabled, Endpoint, EndpointKind, url_id
from reelhook.domain.schedule import RetrySchedule
from reelhook.ports import Resend
from reelhook.storage.operations import due, job_writes
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.store import Store

from .conftest import Sql
from .other_process import commit, transaction, waits_for_a_lock
from .samples import (
    ENDPOINT,
    FINISHED,
    NOW,
    OK,
    REFUSED,
    SCHEDULE,
    URL,
    change,
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

LATER = NOW + 10_000
OPEN = CircuitBreaker(5, NOW, NOW + 3_600_000)
DUE = CircuitBreaker(5, NOW, NOW, 5000)
FAILING = replace(ENDPOINT, health=CircuitBreaker(6, NOW, LATER, 10_000))
DEFAULT = Endpoint(
    DEFAULT_ENDPOINT, EndpointKind.DEFAULT, "https://d.example/", trusted=True, created_at=NOW
)


async def next_at(sql: Sql, endpoint_id: str = "ep_1") -> int | None:
    ((moment,),) = await sql("SELECT next_at FROM endpoints WHERE id = ?1", endpoint_id)
    return moment  # type: ignore[no-any-return] # rows are of anything


async def test_one_that_was_looked_at_for_nothing_may_rest_after_a_while(
    store: Store, sql: Sql
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (one,) = await due_now(store)
    await settled(store, one, OK)
    assert (await look(store, NOW + due.REST_MILLISECONDS - 1)).early == ()
    assert (await look(store, NOW + due.REST_MILLISECONDS)).early == ("ep_1",)
    await store.rest_endpoints(["ep_1"])
    assert await next_at(sql) is None
    assert (await look(store, LATER)).early == ()


async def test_one_rests_until_its_retry_and_behind_an_open_breaker_until_its_probe(
    store: Store, sql: Sql
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (one,) = await due_now(store)
    retry = await settled(store, one, REFUSED)
    await store.rest_endpoints(["ep_1"])
    assert retry.due_at == await next_at(sql)
    assert (await look(store)).next_due_at == retry.due_at
    await store.change_endpoint("ep_1", lambda one: replace(one, health=OPEN))
    await store.rest_endpoints(["ep_1"])
    assert retry.due_at == await next_at(sql)  # a lone delivery's schedule goes on
    await moved(store, (await store.job("job_1")).job.apply(FINISHED, NOW + 1))
    await store.rest_endpoints(["ep_1"])
    assert await next_at(sql) == OPEN.probe_due_at


async def test_one_whose_breaker_stays_open_rests_with_its_failed_probe(
    store: Store, sql: Sql
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    await store.change_endpoint("ep_1", lambda one: replace(one, health=DUE))
    (one,) = await due_now(store)
    await settled(store, one, REFUSED, probe=True, endpoint=FAILING, still_open=True)
    assert await next_at(sql) == LATER
    found = await look(store, LATER - 1)
    assert (jobs(found), found.early, found.next_due_at) == ([], (), LATER)
    assert jobs(await look(store, LATER)) == ["job_1"]


async def test_one_whose_breaker_stays_open_rests_until_a_retry_that_is_due_before_its_probe(
    store: Store, sql: Sql
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    await store.change_endpoint("ep_1", lambda one: replace(one, health=DUE))
    (one,) = await due_now(store)
    retry = await settled(store, one, REFUSED, endpoint=FAILING, still_open=True)
    assert retry.due_at is not None
    assert retry.due_at < LATER
    assert await next_at(sql) == retry.due_at


async def test_with_the_last_attempt_behind_an_open_breaker_the_next_event_is_not_left_behind(
    store: Store,
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    await telling(store, "job_2", endpoints=["ep_1"], at=NOW + 1)
    await store.change_endpoint("ep_1", lambda one: replace(one, health=DUE))
    (one,) = await due_now(store)
    none_left = RetrySchedule(())
    await settled(store, one, REFUSED, endpoint=FAILING, still_open=True, schedule=none_left)
    assert jobs(await look(store, LATER)) == ["job_2"]


async def an_event(store: Store) -> None:
    await moved(store, (await store.job("job_1")).job.apply(FINISHED, LATER))


async def resend_one(store: Store) -> None:
    await store.resend_one(1, None, LATER)


async def resend_all(store: Store) -> None:
    await store.start_resend(Resend("resend_1", 0, LATER))
    await store.advance_resend("resend_1", 10, LATER)


async def enabling(store: Store) -> None:
    await telling(store, "job_2", endpoints=["ep_1"], at=LATER)
    await store.change_endpoint("ep_1", lambda one: replace(one, health=OPEN).disable(NOW))
    await store.rest_endpoints(["ep_1"])
    await store.change_endpoint("ep_1", lambda one: one.enable())


async def a_reopened_breaker(store: Store) -> None:
    await telling(store, "job_2", endpoints=["ep_1"], at=NOW)
    await telling(store, "job_3", endpoints=["ep_1"], at=NOW)
    first, second = await due_now(store)
    await settled(store, second, REFUSED)
    await store.rest_endpoints(["ep_1"])
    healthy = replace(ENDPOINT, health=CircuitBreaker(ramp=1))
    await settled(store, first, OK, at=NOW + 10, endpoint=healthy, reopened=True)


WAKING: list[Callable[[Store], Awaitable[None]]] = [
    *(an_event, resend_one, resend_all, enabling, a_reopened_breaker)
]


@pytest.mark.parametrize("waking", WAKING, ids=lambda one: one.__name__)
async def test_whatever_makes_something_due_wakes_an_endpoint(
    store: Store, waking: Callable[[Store], Awaitable[None]]
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (one,) = await due_now(store)
    await exhausted(store, one)
    await store.rest_endpoints(["ep_1"])
    assert await due_now(store, LATER) == []
    await waking(store)
    assert await due_now(store, LATER)


async def test_another_default_url_wakes_what_waits(store: Store) -> None:
    await store.keep_default_endpoint(DEFAULT)
    await telling(store, "job_1", endpoints=[DEFAULT_ENDPOINT])
    await store.change_endpoint(DEFAULT_ENDPOINT, lambda one: replace(one, health=OPEN))
    await store.rest_endpoints([DEFAULT_ENDPOINT])
    assert await due_now(store, LATER) == []
    await store.keep_default_endpoint(replace(DEFAULT, url="https://moved.example/"))
    assert len(await due_now(store, LATER)) == 1


# -- many ------------------------------------------------------------------------------------------


async def open_breakers(store: Store, count: int, *, probe_due_at: int) -> None:
    """Let that many jobs wait at own URLs whose breakers are open."""
    health = CircuitBreaker(5, NOW, probe_due_at)
    for number in range(count):
        url = f"https://dead.example/{number}"
        await telling(store, f"dead_{number}", url, at=NOW)
        await store.change_endpoint(url_id(url), lambda one: replace(one, health=health))


async def test_probes_that_come_due_together_hide_nothing_and_go_oldest_first(
    store: Store,
) -> None:
    await open_breakers(store, 12, probe_due_at=NOW + 5000)
    await telling(store, "healthy", URL, at=NOW + 5000)
    few = await store.due_deliveries(
        NOW + 5000, per_endpoint=9, limit=1, busy=frozenset(), probes=3
    )
    assert "healthy" in jobs(few)
    assert len(jobs(few)) == 4
    assert few.left
    none = await store.due_deliveries(
        NOW + 5000, per_endpoint=9, limit=9, busy=frozenset(), probes=0
    )
    assert jobs(none) == ["healthy"]
    assert len(jobs(await look(store, NOW + 5000))) == 13


async def test_what_waits_at_receivers_that_fail_hides_none_that_is_well(store: Store) -> None:
    for number in range(6):
        await telling(store, f"shaky_{number}", f"https://shaky{number}.example/", at=NOW + number)
        await store.change_endpoint(
            url_id(f"https://shaky{number}.example/"),
            lambda one: replace(one, health=CircuitBreaker(1, NOW)),
        )
    await telling(store, "healthy", URL, at=NOW + 6)
    found = jobs(await look(store, NOW + 9, limit=3))
    assert (found[0], len(found)) == ("healthy", 3)


# -- a job's own URL that was given up -------------------------------------------------------------


async def test_something_new_for_a_job_s_own_url_that_was_given_up_makes_it_probe_again(
    store: Store,
) -> None:
    await telling(store, "job_1", URL)
    failing_too_long = CircuitBreaker(20, NOW, NOW + 300_000, 300_000)
    await store.change_endpoint(
        url_id(URL), lambda one: replace(one, health=failing_too_long, disabled=Disabled.FAILING)
    )
    assert await due_now(store, LATER) == []
    await telling(store, "job_2", URL, at=LATER)
    now = await store.endpoint(url_id(URL))
    assert (now.disabled, now.health.probe_due_at, now.health.failing_since) == (None, LATER, LATER)
    assert len(await due_now(store, LATER)) == 1


@pytest.mark.parametrize("why", [Disabled.OPERATOR, Disabled.GONE])
async def test_what_was_disabled_for_another_reason_stays_so(store: Store, why: Disabled) -> None:
    await telling(store, "job_1", URL)
    await store.change_endpoint(
        url_id(URL), lambda one: replace(one, disabled=why, disabled_at=NOW)
    )
    await telling(store, "job_2", URL, at=LATER)
    assert (await store.endpoint(url_id(URL))).disabled is why


async def test_a_registered_endpoint_that_was_given_up_waits_for_a_person(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await store.change_endpoint("ep_1", lambda one: replace(one, disabled=Disabled.FAILING))
    await telling(store, "job_1", endpoints=["ep_1"])
    assert (await store.endpoint("ep_1")).disabled is Disabled.FAILING


# -- two processes ---------------------------------------------------------------------------------


async def test_an_endpoint_does_not_rest_while_an_event_for_it_is_not_committed(
    url: str, shared: Store
) -> None:
    await shared.create_endpoint(ENDPOINT)
    job = await queued(shared, new(urls=(), endpoints=["ep_1"]), "video_1")
    await shared.change_endpoint("ep_1", lambda one: replace(one, health=OPEN))
    await shared.change_endpoint("ep_1", lambda one: replace(one, health=CircuitBreaker()))
    other = await transaction(url, job_writes.record([change(job.apply(FINISHED, NOW))], None))
    await shared.rest_endpoints(["ep_1"])
    await commit(other)
    assert jobs(await look(shared)) == ["job_1"]


async def test_an_event_that_comes_while_an_endpoint_goes_to_rest_wakes_it(
    url: str, shared: Store
) -> None:
    await shared.create_endpoint(ENDPOINT)
    job = await queued(shared, new(urls=(), endpoints=["ep_1"]), "video_1")
    await shared.change_endpoint("ep_1", lambda one: replace(one, health=OPEN))
    await shared.change_endpoint("ep_1", lambda one: replace(one, health=CircuitBreaker()))
    other = await transaction(url, due.rest(["ep_1"]))
    told = asyncio.create_task(moved(shared, job.apply(FINISHED, NOW)))
    await waits_for_a_lock(url)
    assert not told.done()
    await commit(other)
    await told
    assert jobs(await look(shared)) == ["job_1"]


async def test_an_event_that_is_not_committed_while_a_probe_fails_is_found_with_the_next_probe(
    url: str, shared: Store
) -> None:
    await shared.create_endpoint(ENDPOINT)
    await telling(shared, "job_1", endpoints=["ep_1"])
    job = await queued(shared, new("job_2", urls=(), endpoints=["ep_1"]), "video_2")
    await shared.change_endpoint("ep_1", lambda one: replace(one, health=DUE))
    (one,) = await due_now(shared)
    other = await transaction(url, job_writes.record([change(job.apply(FINISHED, NOW))], None))
    await settled(shared, one, REFUSED, probe=True, endpoint=FAILING, still_open=True)
    await commit(other)
    assert jobs(await look(shared, LATER)) == ["job_2"]


async def test_however_events_attempts_and_rests_of_two_processes_meet_none_is_left_behind(
    url: str, shared: Store
) -> None:
    database = await PostgreSQL.open(url)
    other = Store(database)
    await shared.create_endpoint(ENDPOINT)
    names = [f"job_{number}" for number in range(40)]
    for name in names:
        await queued(shared, new(name, urls=(), endpoints=["ep_1"]), f"video_{name}")

    async def events() -> None:
        for name in names:
            await moved(shared, (await shared.job(name)).job.apply(FINISHED, NOW))

    async def rests() -> None:
        while not told.done():
            await other.rest_endpoints(["ep_1"])

    async def attempts() -> None:
        while len(arrived) < len(names):
            for one in await due_now(other):
                await settled(other, one, OK, schedule=SCHEDULE)
                arrived.add(one.delivery.job_id)

    arrived = set[str]()
    told = asyncio.create_task(events())
    async with asyncio.timeout(60):
        await asyncio.gather(told, rests(), attempts())
    await database.close()
    assert arrived == set(names)
