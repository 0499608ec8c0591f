"""Tries of clients' calls: each finds the job of its call, across processes and restarts."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from reelhook.domain.client_call import CallNotSettledError, ClientCall
from reelhook.domain.errors import IdempotencyKeyReusedError, InvalidRequestError
from reelhook.ports import ClientTry, Created, IdempotencyKey, NewJob
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import NOW, new

LATER = NOW + 2000
"""When a response is no longer fresh."""


def tried(
    count: int | None, call_id: str = "call_1", *, at: int = NOW, **changes: Any
) -> ClientTry:
    call = ClientCall("videos", changes.pop("body", "a cat"), count)
    return replace(ClientTry("default", call, call_id, at), **changes)


def wanted(job_id: str, one: ClientTry, **changes: Any) -> NewJob:
    return replace(new(job_id, at=one.at), client_try=one, **changes)


async def got(store: Store, job_id: str, count: int | None, **changes: Any) -> str:
    """Return the id of the job that a try gets; `job_id` is that of a new one."""
    one = tried(count, f"call_of_{job_id}", **changes)
    return (await store.create(wanted(job_id, one))).job_id


async def test_a_retry_gets_the_job_of_its_call_and_is_remembered(store: Store) -> None:
    first = await store.create(wanted("job_1", tried(0)))
    assert first == Created("job_1")
    for count in (1, 2):
        retry = tried(count, "call_2", at=NOW + 2000 * count)
        assert await store.create(wanted("job_2", retry)) == Created("job_1", replayed=True)
    assert await got(store, "job_2", 2, at=NOW + 6000) == "job_2"


@pytest.mark.parametrize(
    "other", [{"body": "a dog"}, {"holder": "default/key_2"}, {"at": NOW + 720_001}]
)
async def test_another_client_or_body_or_a_later_one_gets_a_new_job(
    store: Store, other: dict[str, Any]
) -> None:
    assert await got(store, "job_1", 0) == "job_1"
    assert await got(store, "job_2", 1, **{"at": LATER, **other}) == "job_2"


async def test_equal_first_tries_are_different_jobs(store: Store) -> None:
    assert await got(store, "job_1", 0) == "job_1"
    assert await got(store, "job_2", 0, at=LATER) == "job_2"


async def test_a_first_try_that_its_own_retry_overtook_gets_the_retry_s_job(store: Store) -> None:
    assert await got(store, "job_1", 1) == "job_1"
    assert await got(store, "job_2", 0, at=LATER) == "job_1"
    assert await got(store, "job_2", 0, at=LATER + 2000) == "job_2"


async def test_while_a_response_is_fresh_its_client_may_still_use_the_job(store: Store) -> None:
    assert await got(store, "job_1", 0) == "job_1"
    with pytest.raises(CallNotSettledError) as error:
        await got(store, "job_2", 1, at=NOW + 400)
    assert error.value.until == LATER
    assert await got(store, "job_2", 1, at=NOW + 400, waits=False) == "job_1"


async def test_after_the_client_has_used_the_job_a_retry_is_a_new_job(store: Store) -> None:
    await got(store, "job_1", 0)
    assert await store.unused_call("default/key_2", "job_1") is None
    assert await store.unused_call("default", "job_2") is None
    call_hash = await store.unused_call("default", "job_1")
    assert call_hash == tried(0).hash
    await store.use_job(call_hash, "job_1")
    assert await store.unused_call("default", "job_1") is None
    assert await got(store, "job_2", 1, at=LATER) == "job_2"


async def test_of_two_calls_a_retry_gets_the_one_whose_response_was_lost(store: Store) -> None:
    await got(store, "job_1", 0)
    await got(store, "job_2", 0)
    await store.lose_response(tried(0), "job_2")
    assert await got(store, "job_3", 1) == "job_2"  # a lost response is not fresh
    assert await got(store, "job_3", 1, at=LATER) == "job_1"


async def test_a_response_that_is_lost_late_says_nothing_of_a_later_one(
    store: Store, sql: Sql
) -> None:
    await got(store, "job_1", 0)
    await got(store, "job_2", 1, at=LATER)
    await store.lose_response(tried(0), "job_1")
    assert await sql("SELECT lost FROM client_calls") == [(False,)]
    await store.lose_response(tried(1), "job_1")
    assert await sql("SELECT lost FROM client_calls") == [(True,)]


async def test_a_refusal_accounts_for_one_retry_which_is_a_new_job(store: Store) -> None:
    await got(store, "job_1", 0, at=NOW - 2000)
    await store.refuse_call(tried(0, "call_2"))
    await store.refuse_call(tried(1, "call_3"))
    assert await got(store, "job_2", 2) == "job_2"
    assert await got(store, "job_3", 1) == "job_1"
    assert await got(store, "job_3", 3, at=LATER) == "job_2"


async def test_a_refused_retry_leaves_its_call_the_job_of_a_lost_response(
    store: Store, sql: Sql
) -> None:
    for lost in (False, True):
        await got(store, "job_1", 0)
        if lost:
            await store.lose_response(tried(0), "job_1")
        await store.refuse_call(tried(1, "call_2", at=NOW + 400))
        assert await sql("SELECT job_id, lost FROM client_calls") == [("job_1", lost)]
        assert await got(store, "job_2", 2, at=LATER) == "job_1"
        await sql("DELETE FROM jobs")


async def test_a_client_without_counts_joins_only_a_broken_connection(store: Store) -> None:
    assert await got(store, "job_1", None) == "job_1"
    assert await got(store, "job_2", None) == "job_2"
    await store.lose_response(tried(None), "job_1")
    assert await got(store, "job_3", None) == "job_1"
    assert await got(store, "job_3", None) == "job_3"


async def test_a_read_says_nothing_of_a_client_without_counts(store: Store) -> None:
    """It knows no id before its response is written, so others have read the job."""
    await got(store, "job_1", None)
    assert await store.unused_call("default", "job_1") is None
    await store.lose_response(tried(None), "job_1")
    assert await got(store, "job_2", None) == "job_1"
    await store.use_job(tried(None).hash, "job_1")
    assert await store.unused_call("default", "job_1") is None
    assert await got(store, "job_2", None) == "job_2"


async def test_what_a_process_that_died_was_answering_is_lost(store: Store, sql: Sql) -> None:
    await got(store, "job_1", None, process="worker_1")
    await sql("INSERT INTO processes (id, seen_until) VALUES ('worker_1', now_ms() + 60000)")
    assert await got(store, "job_2", None, process="worker_1") == "job_2"
    await sql("UPDATE processes SET seen_until = now_ms() - 1")
    await sql("DELETE FROM client_calls WHERE job_id = 'job_2'")
    await sql("INSERT INTO processes (id, seen_until) VALUES ('worker_2', now_ms() + 60000)")
    assert await got(store, "job_3", None, process="worker_2") == "job_1"
    assert await got(store, "job_3", None, process="worker_2") == "job_3"


async def test_a_start_of_the_only_process_breaks_off_what_was_being_answered(
    store: Store,
) -> None:
    await got(store, "job_1", None)
    await store.free_leases()
    assert await got(store, "job_2", None) == "job_1"


async def test_an_idempotency_key_decides_alone(store: Store, sql: Sql) -> None:
    for job_id, key in (("job_1", "one"), ("job_2", "two")):
        keyed = replace(
            wanted(job_id, tried(0)), idempotency=IdempotencyKey("default", key, "body")
        )
        assert (await store.create(keyed)).job_id == job_id
    assert await sql("SELECT * FROM client_calls") == []
    assert await got(store, "job_3", 1, at=LATER) == "job_3"


async def test_a_job_that_is_refused_leaves_no_call(store: Store, sql: Sql) -> None:
    refused = replace(new("job_1", endpoints=("ep_missing",)), client_try=tried(0))
    with pytest.raises(InvalidRequestError):
        await store.create(refused)
    assert await sql("SELECT * FROM client_calls") == []


async def test_a_try_is_known_to_repeat_before_it_is_carried_out(store: Store) -> None:
    assert not await store.is_repeated(tried(1))
    await got(store, "job_1", 0)
    assert await store.is_repeated(tried(1))
    assert await store.is_repeated(tried(1, at=LATER))
    assert not await store.is_repeated(tried(0))


async def test_a_try_that_may_create_nothing_joins_its_call_once(store: Store) -> None:
    assert await store.join(tried(1)) is None
    await got(store, "job_1", 0)
    with pytest.raises(CallNotSettledError):
        await store.join(tried(1))
    joined = await asyncio.gather(*(store.join(tried(1, at=LATER)) for _ in range(3)))
    assert sorted(joined, key=str) == [None, None, "job_1"]
    assert await got(store, "job_2", 2, at=LATER + 2000) == "job_1"


async def test_a_key_s_job_is_found_without_a_request(store: Store) -> None:
    key = IdempotencyKey("default", "one", "body")
    assert await store.replay_of_key(key) is None
    await store.create(replace(new("job_1"), idempotency=key))
    assert await store.replay_of_key(key) == Created("job_1", replayed=True)
    with pytest.raises(IdempotencyKeyReusedError):
        await store.replay_of_key(replace(key, fingerprint="other"))


async def test_calls_are_forgotten_with_their_job_and_after_a_day(store: Store, sql: Sql) -> None:
    await got(store, "job_1", 0)
    await got(store, "job_2", 0)
    await sql("DELETE FROM jobs WHERE id = 'job_1'")
    assert await sql("SELECT job_id FROM client_calls") == [("job_2",)]
    await store.forget_idempotency_keys(NOW + 1)
    assert await sql("SELECT job_id FROM client_calls") == []


async def test_tries_of_one_group_get_one_job(store: Store) -> None:
    tries = [got(store, f"job_{count}", count, waits=False) for count in (0, 1, 2, 3)]
    assert len(set(await asyncio.gather(*tries))) == 1


async def test_tries_at_several_processes_get_one_job(url: str) -> None:
    """Each waits for the lock on its body, and then sees what the other process has written."""
    databases = [await PostgreSQL.open(url) for _ in range(3)]
    stores = [Store(database) for database in databases]
    try:
        for round_ in range(5):
            tries = [
                got(
                    stores[count % 3], f"job_{round_}_{count}", count, waits=False, body=str(round_)
                )
                for count in range(9)
            ]
            assert len(set(await asyncio.gather(*tries))) == 1
    finally:
        for database in databases:
            await database.close()
