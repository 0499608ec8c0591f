"""Several processes that share a budget on PostgreSQL never overdraw it together."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from random import Random

import pytest
from lossy_proxy import lossy

from reelhook.domain.budget import key_owner
from reelhook.domain.errors import CommitUnknownError, StoreError
from reelhook.domain.over_budget import OverBudgetError
from reelhook.ports import IdempotencyKey
from reelhook.storage.open import open_store
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.store import Store

from .budgets import in_flight, limited, limits, money, priced, usd
from .samples import FINISHED, NOW, change


@pytest.fixture
async def stores(url: str) -> AsyncIterator[Sequence[Store]]:
    """Three writers with connections of their own, as in three processes."""
    async with AsyncExitStack() as stack:
        databases = [await PostgreSQL.open(url) for _ in range(3)]
        for database in databases:
            stack.push_async_callback(database.close)
        yield [Store(database) for database in databases]


async def accepted(store: Store, job_id: str, key_id: str | None = None) -> bool:
    try:
        await store.create(priced(job_id, usd(1), key_id=key_id))
    except OverBudgetError:
        return False
    return True


async def test_exactly_as_many_jobs_are_accepted_as_fit(stores: Sequence[Store]) -> None:
    await limited(stores[0], limits(day=20))
    tries = [
        accepted(store, f"job_{place}_{number}", f"key_{number % 3}")
        for number in range(30)
        for place, store in enumerate(stores)
    ]
    assert sum(await asyncio.gather(*tries)) == 20
    assert await money(stores[0]) == (20, 0)


async def test_jobs_that_end_make_room_for_exactly_as_many(stores: Sequence[Store]) -> None:
    """Jobs are created, canceled and completed by all at once; nothing is counted twice."""
    await limited(stores[0], limits(day=60, jobs_in_flight=5))
    await limited(stores[0], limits(jobs_in_flight=4), key_owner("key_1"))
    random, most = Random(1), 0.0

    async def live(place: int) -> int:
        nonlocal most
        store, done = stores[place], 0
        for number in range(25):
            job_id = f"job_{place}_{number}"
            if not await accepted(store, job_id, random.choice([None, "key_1"])):
                continue
            most = max(most, await in_flight(store))
            job = (await store.job(job_id)).job
            if random.random() < 0.5:
                transition = job.cancel(NOW, stopped=True)
            else:
                done += 1
                transition = job.accept(f"video_{job_id}", NOW).apply(FINISHED, NOW)
            assert await store.record([change(transition)], None) == [job_id]
        return done

    completed = sum(await asyncio.gather(*map(live, range(3))))
    assert await money(stores[0]) == (0, completed)
    assert await in_flight(stores[0]) == await in_flight(stores[0], key_owner("key_1")) == 0
    assert 0 < most <= 5


async def test_limits_that_are_set_among_creates_and_ends_count_every_job_once(
    stores: Sequence[Store],
) -> None:
    busy = asyncio.Event()

    async def live(place: int) -> int:
        store, open_jobs = stores[place], 0
        for number in range(20):
            job_id = f"job_{place}_{number}"
            await store.create(priced(job_id, usd(1)))
            if number == 5:
                busy.set()
            if number % 2:
                open_jobs += 1
                continue
            job = (await store.job(job_id)).job
            transition = job.submitting(NOW).accept(f"video_{job_id}", NOW).apply(FINISHED, NOW)
            assert await store.record([change(transition)], None) == [job_id]
        return open_jobs

    lives = [asyncio.create_task(live(place)) for place in (0, 1)]
    await busy.wait()
    await limited(stores[2], limits(day=100))
    unfinished = sum(await asyncio.gather(*lives))
    assert await money(stores[2]) == (unfinished, 40 - unfinished)
    assert await in_flight(stores[2]) == unfinished


@pytest.mark.parametrize("delivered", [True, False])
async def test_the_repeat_after_a_lost_commit_reserves_once(url: str, delivered: bool) -> None:
    key = IdempotencyKey("h", "k", "f")
    with lossy(url) as (proxy, through):
        async with open_store(url) as direct, open_store(through) as database:
            store = Store(database)
            await limited(Store(direct), limits(day=1))
            proxy.lose(delivered=delivered)
            created = None
            while created is None:
                made = replace(priced(f"job_{proxy.cut}", usd(1)), idempotency=key)
                with suppress(StoreError, CommitUnknownError):
                    created = await store.create(made)
            assert proxy.cut == 1
            assert await money(Store(direct)) == (1, 0)
            assert await in_flight(Store(direct)) == 1
