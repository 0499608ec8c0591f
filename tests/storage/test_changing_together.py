"""Two processes on one database change the same row: neither undoes the other's change."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.conflicts import ProjectClosedError, ProjectNameTakenError
from reelhook.domain.endpoint import DEFAULT_ENDPOINT, Disabled, Endpoint, EndpointKind
from reelhook.domain.errors import EndpointNotFoundError, InvalidRequestError
from reelhook.domain.project import Project
from reelhook.ports import Change, DataRemoval, Resend
from reelhook.storage.operation import Operation
from reelhook.storage.operations import (
    delivery_writes,
    endpoint_writes,
    job_writes,
    projects,
    resends,
)
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.store import Store

from .other_process import commit, transaction, waits_for_a_lock
from .samples import ENDPOINT, NOW, OK, REFUSED, due_now, exhausted, new, settled, telling

DEFAULT = Endpoint(
    DEFAULT_ENDPOINT, EndpointKind.DEFAULT, "https://d.example/", trusted=True, created_at=NOW
)
FAILING = CircuitBreaker(3, NOW)


def rotating(one: Endpoint) -> Endpoint:
    return one.rotated("new", NOW, 1000)


def describing(one: Endpoint) -> Endpoint:
    return replace(one, description="Ours")


# -- endpoints -------------------------------------------------------------------------------------

OTHERS: dict[str, Callable[[], Operation[object]]] = {
    "a rotation": lambda: endpoint_writes.change("ep_1", rotating),
    "how it fares": lambda: endpoint_writes.save_health(replace(ENDPOINT, health=FAILING)),
}


@pytest.mark.parametrize("name", OTHERS)
async def test_a_change_keeps_what_another_process_is_changing(
    url: str, shared: Store, name: str
) -> None:
    await shared.create_endpoint(ENDPOINT)
    other = await transaction(url, OTHERS[name]())
    changing = asyncio.create_task(shared.change_endpoint("ep_1", describing))
    await waits_for_a_lock(url)
    await commit(other)
    after = await changing
    assert after == await shared.endpoint("ep_1")
    assert after.description == "Ours"
    assert (after.secret, after.health) in {("new", CircuitBreaker()), (None, FAILING)}


async def test_another_default_url_keeps_what_another_process_is_changing(
    url: str, shared: Store
) -> None:
    await shared.keep_default_endpoint(DEFAULT)
    other = await transaction(url, endpoint_writes.change(DEFAULT_ENDPOINT, rotating))
    moved = replace(DEFAULT, url="https://moved.example/")
    keeping = asyncio.create_task(shared.keep_default_endpoint(moved))
    await waits_for_a_lock(url)
    await commit(other)
    await keeping
    after = await shared.endpoint(DEFAULT_ENDPOINT)
    assert (after.url, after.secret) == (moved.url, "new")


async def test_two_that_start_at_once_both_keep_the_default_endpoint(
    url: str, shared: Store
) -> None:
    other = await transaction(url, endpoint_writes.keep_default(DEFAULT))
    keeping = asyncio.create_task(shared.keep_default_endpoint(DEFAULT))
    await waits_for_a_lock(url)
    await commit(other)
    await keeping
    assert await shared.endpoint(DEFAULT_ENDPOINT) == DEFAULT


async def test_an_attempt_from_before_does_not_take_back_that_an_endpoint_was_enabled(
    store: Store,
) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(store)
    worn_out = CircuitBreaker(20, NOW - 10**9, NOW, 300_000)
    before = await store.change_endpoint(
        "ep_1",
        lambda one: replace(one, health=worn_out, disabled=Disabled.FAILING, disabled_at=NOW),
    )
    await store.change_endpoint("ep_1", lambda one: one.enable())
    await settled(store, due, REFUSED, endpoint=before.responded(REFUSED, NOW + 9, probe=True))
    after = await store.endpoint("ep_1")
    assert (after.disabled, after.health) == (None, CircuitBreaker())


async def test_an_attempt_tells_how_the_endpoint_fares_that_it_was_sent_to(store: Store) -> None:
    await store.create_endpoint(ENDPOINT)
    await telling(store, "job_1", endpoints=["ep_1"])
    await store.change_endpoint("ep_1", lambda one: one.disable(NOW))
    now = await store.change_endpoint("ep_1", lambda one: one.enable())
    (due,) = await due_now(store)
    await settled(store, due, REFUSED, endpoint=now.responded(REFUSED, NOW + 9, probe=False))
    assert (await store.endpoint("ep_1")).health.failures == 1


# -- endpoints for every job -----------------------------------------------------------------------


async def told(store: Store, job_id: str) -> list[str]:
    return [one.endpoint_id for one in await store.destinations(job_id)]


@pytest.mark.parametrize("how", ["registered", "changed"])
async def test_a_job_that_is_just_coming_in_is_followed_by_a_new_endpoint_for_all(
    url: str, shared: Store, how: str
) -> None:
    broadcast = replace(ENDPOINT, broadcast=True)
    if how == "changed":
        await shared.create_endpoint(ENDPOINT)
    other = await transaction(url, job_writes.create(new("job_1", urls=())))
    following = asyncio.create_task(
        shared.create_endpoint(broadcast)
        if how == "registered"
        else shared.change_endpoint("ep_1", lambda one: replace(one, broadcast=True))
    )
    await waits_for_a_lock(url)
    await commit(other)
    await following
    assert await told(shared, "job_1") == ["ep_1"]


async def test_a_job_that_comes_in_while_an_endpoint_for_all_is_registered_has_it(
    url: str, shared: Store
) -> None:
    other = await transaction(url, endpoint_writes.create(replace(ENDPOINT, broadcast=True)))
    coming = asyncio.create_task(shared.create(new("job_1", urls=())))
    await waits_for_a_lock(url)
    await commit(other)
    await coming
    assert await told(shared, "job_1") == ["ep_1"]


async def test_jobs_of_two_processes_do_not_wait_for_each_other(url: str, shared: Store) -> None:
    other = await transaction(url, job_writes.create(new("job_1", urls=())))
    async with asyncio.timeout(20):
        await shared.create(new("job_2", urls=()))
    await commit(other)


# -- what is deleted meanwhile ---------------------------------------------------------------------


@pytest.mark.parametrize("broadcast", [True, False])
async def test_a_job_for_an_endpoint_that_is_just_deleted_is_refused_or_goes_nowhere(
    url: str, shared: Store, broadcast: bool
) -> None:
    await shared.create_endpoint(replace(ENDPOINT, broadcast=broadcast))
    other = await transaction(url, endpoint_writes.delete("ep_1", NOW))
    named = () if broadcast else ("ep_1",)
    coming = asyncio.create_task(shared.create(new("job_1", urls=(), endpoints=named)))
    await waits_for_a_lock(url)
    await commit(other)
    if broadcast:
        await coming
        assert await told(shared, "job_1") == []
    else:
        with pytest.raises(InvalidRequestError):
            await coming


async def test_what_comes_for_an_endpoint_before_it_is_deleted_ends_with_it(
    url: str, shared: Store
) -> None:
    await shared.create_endpoint(ENDPOINT)
    other = await transaction(url, job_writes.create(new("job_1", urls=(), endpoints=["ep_1"])))
    deleting = asyncio.create_task(shared.delete_endpoint("ep_1", NOW))
    await waits_for_a_lock(url)
    await commit(other)
    await deleting
    assert (await shared.delivery(1)).delivery.ended


async def test_nothing_is_sent_again_to_an_endpoint_that_is_just_deleted(
    url: str, shared: Store
) -> None:
    await shared.create_endpoint(ENDPOINT)
    await telling(shared, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(shared)
    await settled(shared, due, OK)
    other = await transaction(url, endpoint_writes.delete("ep_1", NOW))
    sending = asyncio.create_task(shared.resend_one(due.delivery.id, None, NOW + 9))
    await waits_for_a_lock(url)
    await commit(other)
    with pytest.raises(EndpointNotFoundError):
        await sending
    assert await shared.deliveries_waiting() == 0


async def test_what_a_person_is_sending_again_is_not_sent_again_by_a_run_for_all(
    url: str, shared: Store
) -> None:
    await shared.create_endpoint(ENDPOINT)
    await telling(shared, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(shared)
    await exhausted(shared, due)
    await shared.start_resend(Resend("resend_1", 0, NOW + 99))
    other = await transaction(url, resends.resend_one(due.delivery.id, 1, NOW + 9))
    running = asyncio.create_task(shared.advance_resend("resend_1", 10, NOW + 9))
    await waits_for_a_lock(url)
    await commit(other)
    assert (await running).resent == 0
    assert await shared.deliveries_waiting() == 1


async def test_an_attempt_and_an_event_of_one_delivery_wait_for_each_other(
    url: str, shared: Store
) -> None:
    await shared.create_endpoint(ENDPOINT)
    job = await telling(shared, "job_1", endpoints=["ep_1"])
    (due,) = await due_now(shared)
    (event,) = job.cancel(NOW + 5)[1]
    other = await transaction(url, delivery_writes.offer(event, Change(job).other_body))
    settling = asyncio.create_task(settled(shared, due, OK))
    await waits_for_a_lock(url)
    await commit(other)
    assert (await settling).status_sequence == event.sequence


async def test_many_changes_of_two_processes_all_hold(url: str, shared: Store) -> None:
    database = await PostgreSQL.open(url)
    other = Store(database)
    await shared.create_endpoint(ENDPOINT)
    for number in range(20):
        secret, words = f"s{number}", f"d{number}"
        await asyncio.gather(
            shared.change_endpoint(
                "ep_1", partial(Endpoint.rotated, secret=secret, now=NOW, overlap_milliseconds=1)
            ),
            other.change_endpoint("ep_1", partial(replace, description=words)),
        )
        now = await shared.endpoint("ep_1")
        assert (now.secret, now.description) == (secret, words)
    await database.close()


# -- projects --------------------------------------------------------------------------------------

SHOP = Project("prj_shop", "shop", NOW)


def closing(one: Project) -> Project:
    return one.closed(NOW, delete_data=True)


async def test_a_job_that_comes_in_while_its_project_closes_is_refused(
    url: str, shared: Store
) -> None:
    await shared.create_project(SHOP)
    other = await transaction(url, projects.change("shop", closing, NOW))
    creating = asyncio.create_task(shared.create(new(urls=(), project="prj_shop")))
    await waits_for_a_lock(url)
    await commit(other)
    with pytest.raises(ProjectClosedError):
        await creating


async def test_a_project_closes_after_the_job_that_is_just_coming_in(
    url: str, shared: Store
) -> None:
    await shared.create_project(SHOP)
    other = await transaction(url, job_writes.create(new(urls=(), project="prj_shop")))
    task = asyncio.create_task(shared.change_project("shop", closing, NOW))
    await waits_for_a_lock(url)
    await commit(other)
    await task
    assert await shared.remove_project_data("prj_shop", NOW) is DataRemoval.IN_USE


async def test_of_two_projects_that_take_one_name_at_once_one_gets_it(
    url: str, shared: Store
) -> None:
    other = await transaction(url, projects.create(SHOP))
    creating = asyncio.create_task(shared.create_project(replace(SHOP, id="prj_2")))
    await waits_for_a_lock(url)
    await commit(other)
    with pytest.raises(ProjectNameTakenError):
        await creating
    assert [one.id for one in await shared.projects()] == ["default", "prj_shop"]
