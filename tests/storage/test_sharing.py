"""Leases in the store: their holders, duration and epochs."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from reelhook.domain.listing import ListingFacts
from reelhook.ports import Lease
from reelhook.storage.open import open_store
from reelhook.storage.store import Store

from .conftest import Sql
from .postgres_databases import emptied_database
from .samples import ACCOUNT, NOW

LANES = tuple(f"lane:{number:02}" for number in range(16))
LONG = 600_000
SHORT = 60


async def tended(
    store: Store, worker: str, ids: Sequence[str] = LANES, milliseconds: int = LONG
) -> list[str]:
    """Tend as a worker does: what is beyond its share is given away at once."""
    held, surplus = await store.heartbeat(worker, ids, milliseconds)
    await store.release(worker, held[len(held) - surplus :], leaving=False)
    return [lease.id for lease in held[: len(held) - surplus]]


async def even_out(store: Store, workers: Sequence[str]) -> dict[str, list[str]]:
    """Let everyone send three heartbeats: to be counted, to give away, to take."""
    shares: dict[str, list[str]] = {}
    for _ in range(3):
        for worker in workers:
            shares[worker] = await tended(store, worker)
    return shares


async def test_the_first_worker_takes_everything(store: Store) -> None:
    held, surplus = await store.heartbeat("one", LANES, LONG)
    assert held == [Lease(lane, 1) for lane in LANES]
    assert surplus == 0


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
async def test_shares_even_out(store: Store, number: int) -> None:
    workers = [f"worker-{one}" for one in range(number)]
    shares = await even_out(store, workers)
    sizes = [len(share) for share in shares.values()]
    assert sorted(lane for share in shares.values() for lane in share) == list(LANES)
    assert max(sizes) <= -(-len(LANES) // number)


async def leave(store: Store, worker: str) -> None:
    held = await store.renew(worker, LONG)
    await store.release(worker, held, leaving=True)


async def test_shares_even_out_anew_when_workers_come_and_go(store: Store) -> None:
    working: list[str] = []
    for come, go in (("abc", ""), ("de", ""), ("", "acd"), ("f", "b"), ("", "e")):
        for worker in go:
            await leave(store, worker)
        working = [one for one in working if one not in go] + list(come)
        shares = await even_out(store, working)
        assert sorted(lane for share in shares.values() for lane in share) == list(LANES)
        assert max(len(share) for share in shares.values()) <= -(-len(LANES) // len(working))


async def test_each_kind_is_shared_by_itself(store: Store) -> None:
    await store.heartbeat("one", LANES, LONG)
    held, surplus = await store.heartbeat("two", ["account:openai"], LONG)
    assert (held, surplus) == ([Lease("account:openai", 1)], 0)


async def test_every_take_over_raises_the_epoch_and_renewing_does_not(store: Store) -> None:
    ids = ["account:openai"]
    assert await store.heartbeat("one", ids, LONG) == ([Lease(ids[0], 1)], 0)
    assert await store.heartbeat("one", ids, LONG) == ([Lease(ids[0], 1)], 0)
    await store.release("one", [Lease(ids[0], 1)], leaving=True)
    assert await store.heartbeat("two", ids, LONG) == ([Lease(ids[0], 2)], 0)


async def test_whoever_takes_back_what_it_gave_away_has_a_new_epoch(store: Store) -> None:
    ids = ["account:openai"]
    await store.heartbeat("one", ids, LONG)
    await store.release("one", [Lease(ids[0], 1)], leaving=False)
    assert await store.heartbeat("one", ids, LONG) == ([Lease(ids[0], 2)], 0)


async def test_what_ran_out_is_taken_within_one_tending(store: Store) -> None:
    await store.heartbeat("dead", LANES, SHORT)
    await asyncio.sleep(2 * SHORT / 1000)
    held, surplus = await store.heartbeat("alive", LANES, LONG)
    assert held == [Lease(lane, 2) for lane in LANES]
    assert surplus == 0
    assert await store.heartbeat("dead", LANES, LONG) == ([], 0)


async def test_what_ran_out_and_nobody_took_is_kept_under_its_epoch(store: Store) -> None:
    await store.heartbeat("one", LANES[:1], SHORT)
    await asyncio.sleep(2 * SHORT / 1000)
    assert await store.heartbeat("one", LANES[:1], LONG) == ([Lease(LANES[0], 1)], 0)


async def test_what_others_hold_is_not_taken(store: Store) -> None:
    await store.heartbeat("one", LANES, LONG)
    assert await store.heartbeat("two", LANES, LONG) == ([], 0)
    held, surplus = await store.heartbeat("one", LANES, LONG)
    assert (len(held), surplus) == (16, 8)


async def test_a_worker_that_leaves_has_no_share(store: Store) -> None:
    await store.heartbeat("one", LANES, LONG)
    await store.heartbeat("two", LANES, LONG)
    await store.release("two", [], leaving=True)
    held, surplus = await store.heartbeat("one", LANES, LONG)
    assert (len(held), surplus) == (16, 0)


async def test_whoever_leaves_renews_what_it_holds_and_takes_nothing(store: Store) -> None:
    await store.heartbeat("one", LANES[:2], SHORT)
    await store.heartbeat("one", ["account:openai"], SHORT)
    await store.release("one", [], leaving=True)
    held = await store.renew("one", LONG)
    assert held == [Lease("account:openai", 1), Lease(LANES[0], 1), Lease(LANES[1], 1)]
    await asyncio.sleep(2 * SHORT / 1000)
    assert await store.heartbeat("two", LANES[:2], LONG) == ([], 0)
    assert await store.renew("three", LONG) == []


async def test_only_its_owner_releases_a_lease(store: Store) -> None:
    await store.heartbeat("one", LANES[:1], LONG)
    await store.release("two", [Lease(LANES[0], 1)], leaving=False)
    await store.release("one", [Lease(LANES[0], 7)], leaving=False)
    assert await store.heartbeat("one", LANES[:1], LONG) == ([Lease(LANES[0], 1)], 0)


async def test_the_owner_of_a_file_frees_what_others_held(store: Store) -> None:
    await store.heartbeat("before", LANES, LONG)
    await store.free_leases()
    held, _ = await store.heartbeat("now", LANES, LONG)
    assert held == [Lease(lane, 2) for lane in LANES]


async def test_of_many_that_tend_at_once_no_two_hold_the_same(store: Store) -> None:
    workers = [f"worker-{number}" for number in range(5)]
    for _ in range(4):
        await asyncio.gather(*(tended(store, worker) for worker in workers))
    shares = await asyncio.gather(*(store.heartbeat(worker, LANES, LONG) for worker in workers))
    held = [lease.id for share, _ in shares for lease in share]
    assert sorted(held) == list(LANES)
    assert max(len(share) for share, _ in shares) <= 4


async def test_workers_that_died_are_forgotten(store: Store, sql: Sql) -> None:
    await store.heartbeat("dead", LANES, LONG)
    await sql("UPDATE workers SET seen_until = 1")
    await store.heartbeat("alive", LANES, LONG)
    assert await sql("SELECT id FROM workers") == [("alive",)]


async def test_a_worker_seen_before_the_clock_was_set_back_takes_no_share(
    store: Store, sql: Sql
) -> None:
    await store.heartbeat("ahead", LANES, LONG)
    await store.release("ahead", [Lease(lane, 1) for lane in LANES], leaving=False)
    await sql("UPDATE workers SET seen_until = seen_until + ?1", LONG)
    held, _ = await store.heartbeat("alive", LANES, LONG)
    assert [lease.id for lease in held] == list(LANES)


async def test_under_a_lease_that_was_lost_nothing_is_written(store: Store) -> None:
    lost = (await store.heartbeat("one", ["account:openai"], LONG))[0][0]
    await store.release("one", [lost], leaving=True)
    await store.heartbeat("two", ["account:openai"], LONG)
    await store.record_round(ACCOUNT, NOW, lost)
    await store.record_listing_facts(ACCOUNT, ListingFacts("here"), lost)
    assert await store.account_records() == {}
    assert await store.listing_facts(ACCOUNT) is None


async def test_workers_that_start_at_once_on_an_empty_database_do_not_wait_for_each_other(
    postgres_url: str,
) -> None:
    async with emptied_database(postgres_url) as url, AsyncExitStack() as stack:
        stores = [
            Store(await stack.enter_async_context(open_store(url))) for _ in range(4)
        ]  # each with connections of its own, as processes have
        async with asyncio.timeout(20):
            await asyncio.gather(
                *(store.heartbeat(f"worker-{n}", LANES, LONG) for n, store in enumerate(stores))
            )
            shares = [await store.renew(f"worker-{n}", LONG) for n, store in enumerate(stores)]
    assert len({lease.id for share in shares for lease in share}) == sum(map(len, shares))
