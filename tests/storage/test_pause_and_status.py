"""The pause and the status of accounts, which all processes share, on both databases."""

from reelhook.domain.account_status import HEALTHY, AccountStatus
from reelhook.domain.worker import WorkerLeases
from reelhook.ports import AccountRecord, Lease
from reelhook.storage.store import Store

from .conftest import Sql

ACCOUNT, ID = "openai", "account:openai"


async def test_a_pause_is_kept_from_its_first_moment_until_it_is_lifted(store: Store) -> None:
    assert await store.watching_paused_since() is None
    await store.pause_watching(1000)
    await store.pause_watching(2000)
    assert await store.watching_paused_since() == 1000
    for _ in range(2):
        await store.resume_watching()
        assert await store.watching_paused_since() is None


async def test_a_refused_key_is_kept_beside_what_else_is_known_of_the_account(store: Store) -> None:
    assert await store.account_status(ACCOUNT) == HEALTHY
    await store.save_account_status(ACCOUNT, AccountStatus("No such key", 7300), None)
    await store.record_round(ACCOUNT, 1000)
    assert await store.account_status(ACCOUNT) == AccountStatus("No such key", 7300)
    await store.save_account_status(ACCOUNT, AccountStatus(None, 7300), None)
    assert (await store.account_status(ACCOUNT)).unauthorized is None
    assert await store.account_records() == {
        ACCOUNT: AccountRecord(AccountStatus(None, 7300), 1000)
    }


async def test_only_who_holds_the_account_tells_how_it_stands(store: Store, sql: Sql) -> None:
    (old,), _ = await store.heartbeat("one", [ID], 60_000)
    await store.save_account_status(ACCOUNT, AccountStatus("said one", 7300), old)
    await sql("UPDATE leases SET lease_until = 1")
    assert (await store.heartbeat("two", [ID], 60_000))[0] == [Lease(ID, 2)]
    await store.save_account_status(ACCOUNT, AccountStatus(None, 7300), old)
    assert (await store.account_status(ACCOUNT)).unauthorized == "said one"


async def test_the_state_of_all_accounts_is_read_at_once(store: Store) -> None:
    refused = AccountStatus("No such key", 7300)
    await store.save_account_status("acme", refused, None)
    await store.record_round("acme_2", 1000)
    assert await store.account_records() == {
        "acme": AccountRecord(refused, None),
        "acme_2": AccountRecord(HEALTHY, 1000),
    }


async def test_workers_are_listed_with_their_leases_and_those_that_nobody_holds(
    store: Store,
) -> None:
    await store.heartbeat("one", [ID, "account:other"], 60_000)
    await store.heartbeat("two", ["lane:00"], 60_000)
    assert await store.workers() == [
        WorkerLeases("one", alive=True, leases=(ID, "account:other")),
        WorkerLeases("two", alive=True, leases=("lane:00",)),
    ]
    await store.free_leases()
    free = (ID, "account:other", "lane:00")
    assert await store.workers() == [WorkerLeases(None, alive=False, leases=free)]
