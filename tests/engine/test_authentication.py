"""Keys are read, trusted for half a second, and end in every process within one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from engine_clock import ManualClock
from migrated_database import prepare

from reelhook.domain.api_key import (
    ApiKey,
    KeyExpiredError,
    KeyGrant,
    KeyRevokedError,
    new_token,
    token_hash,
)
from reelhook.domain.caller import ANONYMOUS, OPERATOR, Caller, Scope, ScopeMissingError
from reelhook.domain.errors import ProjectNotFoundError, StoreError
from reelhook.domain.project import Project
from reelhook.service.authentication import KEYS_PER_READ, Authentication
from reelhook.service.credentials import RequestCredential
from reelhook.storage.operation import Database
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

TOKEN = new_token(Random(1))


class CountingStore(Store):
    """A store that counts the reads of keys. Those for streams may hang, or fail."""

    reads = 0
    reads_for_streams = 0

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.hanging = False
        self.failures: list[Exception] = []

    async def api_key_grant(self, token_hash: str) -> KeyGrant | None:
        self.reads += 1
        return await super().api_key_grant(token_hash)

    async def api_key_grants(self, hashes_or_ids: Sequence[str]) -> dict[str, KeyGrant]:
        self.reads_for_streams += 1
        if self.failures:
            raise self.failures.pop()
        if self.hanging:
            await asyncio.Event().wait()
        return await super().api_key_grants(hashes_or_ids)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CountingStore]:
    path = tmp_path / "reelhook.db"
    prepare(path)
    database = SQLite(path)
    yield CountingStore(database)
    await database.close()


@pytest.fixture
async def key(store: CountingStore, clock: ManualClock) -> ApiKey:
    made = ApiKey(
        "key_1", "default", "app", "rhk_", frozenset({Scope.READ}), None, (), created_at=clock.now()
    )
    await store.create_api_key(made, token_hash(TOKEN))
    return made


async def revoke(store: Store, clock: ManualClock) -> None:
    now = clock.now()
    await store.change_api_key("key_1", lambda key: replace(key, revoked_at=now))


async def test_many_requests_at_once_read_a_key_once(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one = Authentication(store, clock=clock)
    found = await asyncio.gather(*(one.key(TOKEN) for _ in range(50)))
    assert {grant.key.id for grant, _ in filter(None, found)} == {"key_1"}
    assert store.reads == 1


async def test_what_was_read_is_trusted_for_half_a_second(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    here, elsewhere = Authentication(store, clock=clock), Authentication(store, clock=clock)
    assert await here.key(TOKEN) is not None
    await revoke(store, clock)
    elsewhere.forget()
    clock.advance(0.499)
    assert await here.key(TOKEN) is not None
    clock.advance(0.001)
    with pytest.raises(KeyRevokedError):
        await here.key(TOKEN)


async def test_a_busy_key_is_read_again_before_its_read_is_too_old(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one = Authentication(store, clock=clock)
    for seconds, reads in ((0, 1), (0.249, 1), (0.001, 2), (0.1, 2)):
        clock.advance(seconds)
        assert await one.key(TOKEN) is not None
        await asyncio.sleep(0)  # the next read begins in a task
        assert store.reads == reads
    reading = one._readings[token_hash(TOKEN)]
    await (reading.following or reading).result()
    clock.advance(0.249)  # the first read is too old now, the second one is not
    assert await one.key(TOKEN) is not None
    await asyncio.sleep(0)
    assert store.reads == 3


async def test_the_process_that_changes_a_key_knows_at_once(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one = Authentication(store, clock=clock)
    await one.key(TOKEN)
    await revoke(store, clock)
    one.forget()
    with pytest.raises(KeyRevokedError):
        await one.key(TOKEN)


async def test_an_unknown_key_is_found_nowhere(store: CountingStore, clock: ManualClock) -> None:
    assert await Authentication(store, clock=clock).key(TOKEN) is None


async def test_a_client_that_leaves_does_not_end_the_read_of_others(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one = Authentication(store, clock=clock)
    leaving, staying = asyncio.ensure_future(one.key(TOKEN)), asyncio.ensure_future(one.key(TOKEN))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is not None
    assert store.reads == 1


async def test_a_database_that_is_away_lets_nobody_in_and_is_asked_again(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one = Authentication(store, clock=clock)
    assert await one.key(TOKEN) is not None
    await store._database.close()
    clock.advance(1)
    for reads in (2, 3):
        with pytest.raises(StoreError):
            await one.key(TOKEN)
        assert store.reads == reads
    with pytest.raises(StoreError):
        await one.key_required()


async def test_a_use_is_recorded_once_a_minute(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one = Authentication(store, clock=clock)
    first = clock.now()
    for seconds, expected in ((0, first), (59, first), (1, first + 60_000)):
        clock.advance(seconds)
        await one.key(TOKEN)
        await asyncio.gather(*one._recording)
        assert (await store.api_key("key_1")).last_used_at == expected


async def test_a_key_is_required_once_one_was_made(
    store: CountingStore, clock: ManualClock, request: pytest.FixtureRequest
) -> None:
    one = Authentication(store, clock=clock)
    assert not await one.key_required()
    made = ApiKey("key_1", "default", "app", "rhk_", frozenset({Scope.READ}), None, (), 0)
    await store.create_api_key(made, "hash")
    await revoke(store, clock)
    clock.advance(0.5)
    assert await one.key_required()


async def test_a_stream_ends_when_its_key_does(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one, woken = Authentication(store, clock=clock), asyncio.Event()
    found = await one.key(TOKEN)
    assert found is not None
    with one.lifetime(found[1], woken.set) as lifetime:
        await revoke(store, clock)
        await until_waiting(clock)
        clock.advance(0.4)
        async with asyncio.timeout(5):
            await woken.wait()
        assert lifetime.over
    assert one._watching is None


async def test_a_stream_ends_when_its_token_does_and_others_go_on(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one, woken = Authentication(store, clock=clock), asyncio.Event()
    now = clock.now()
    with (
        one.lifetime(RequestCredential("key_1", now + 300), woken.set) as ending,
        one.lifetime(RequestCredential("key_1"), lambda: None) as staying,
        one.lifetime(RequestCredential(), lambda: None) as of_operator,
    ):
        await until_waiting(clock)
        clock.advance(0.4)
        async with asyncio.timeout(5):
            await woken.wait()
        assert (ending.over, staying.over, of_operator.over) == (True, False, False)


async def test_a_stream_without_a_key_ends_with_the_first_key(
    store: CountingStore, clock: ManualClock
) -> None:
    one, woken, later = Authentication(store, clock=clock), asyncio.Event(), clock.now() + 10**9
    assert not await one.key_required()
    with (
        one.lifetime(RequestCredential(until_key=True), lambda: None) as keyless,
        one.lifetime(RequestCredential(expires_at=later), lambda: None) as of_operator,
        one.lifetime(RequestCredential(expires_at=later, until_key=True), woken.set) as by_token,
    ):
        made = ApiKey("key_1", "default", "app", "rhk_", frozenset({Scope.READ}), None, (), 0)
        await store.create_api_key(made, "hash")
        await advanced_until(woken, clock)
        assert (keyless.over, by_token.over, of_operator.over) == (True, True, False)


async def test_the_keys_of_streams_are_read_together(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one = Authentication(store, clock=clock)
    await store.create_api_key(replace(key, id="key_2"), "hash 2")
    await store.change_api_key("key_2", lambda key: key, new_hash="hash 3")
    staying = [RequestCredential("key_1"), RequestCredential(token_hash(TOKEN))]
    ending = [RequestCredential(f"unknown {number}") for number in range(KEYS_PER_READ)]
    ending += [RequestCredential("key_unknown"), RequestCredential("hash 2")]  # without an overlap
    with ExitStack() as stack:
        lifetimes = [
            stack.enter_context(one.lifetime(credential, lambda: None))
            for credential in (*staying, *staying, *ending)
        ]
        await until_waiting(clock)
        clock.advance(0.4)
        async with asyncio.timeout(5):
            while not all(one.over for one in lifetimes[4:]):  # noqa: ASYNC110 - one signal each
                await asyncio.sleep(0)
        assert not any(one.over for one in lifetimes[:4])
        assert store.reads_for_streams == 2


async def test_a_token_expires_while_the_database_does_not_respond(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one, woken = Authentication(store, clock=clock), asyncio.Event()
    store.hanging = True
    with (
        one.lifetime(RequestCredential("key_1"), lambda: None) as staying,
        one.lifetime(RequestCredential("key_1", clock.now() + 800), woken.set) as ending,
    ):
        await advanced_until(woken, clock)
        assert (staying.over, ending.over) == (False, True)


async def test_a_failed_read_ends_no_stream_and_is_repeated(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one, woken = Authentication(store, clock=clock), asyncio.Event()
    await revoke(store, clock)
    store.failures = [StoreError("It is away"), RuntimeError("A fault of the test")]
    with one.lifetime(RequestCredential("key_1"), woken.set):
        await advanced_until(woken, clock)
    assert store.reads_for_streams == 3


async def advanced_until(woken: asyncio.Event, clock: ManualClock) -> None:
    async with asyncio.timeout(5):
        while not woken.is_set():
            clock.advance(0.4)
            await asyncio.sleep(0)


async def until_waiting(clock: ManualClock) -> None:
    async with asyncio.timeout(5):
        while clock.next_due_at is None:  # noqa: ASYNC110 - the manual clock signals nothing
            await asyncio.sleep(0)


async def test_a_token_ends_with_its_key_or_its_own_time(
    store: CountingStore, key: ApiKey, clock: ManualClock
) -> None:
    one, now = Authentication(store, clock=clock), clock.now()
    assert await one.key_of_token("key_1", now + 1) is not None
    assert await one.key_of_token("key_2", now + 1) is None
    with pytest.raises(KeyExpiredError):
        await one.key_of_token("key_1", now)
    await revoke(store, clock)
    one.forget()
    with pytest.raises(KeyRevokedError):
        await one.key_of_token("key_1", now + 1)


async def test_the_operator_acts_in_any_project_and_a_key_in_its_own(
    store: CountingStore, clock: ManualClock
) -> None:
    await store.create_project(Project("prj_1", "shop", 0, models=("a/b",)))
    one = Authentication(store, clock=clock)
    for named in ("prj_1", "shop"):
        chosen = await one.within(OPERATOR, named)
        assert (chosen.project, chosen.sees, chosen.models) == ("prj_1", "prj_1", ("a/b",))
        assert chosen.allows(Scope.OPERATOR)
    own = Caller("prj_1", frozenset({Scope.READ}), key_id="key_1")
    assert await one.within(own, "shop") == own
    for caller, named in ((own, "default"), (own, "prj_2"), (OPERATOR, "prj_2"), (OPERATOR, "")):
        with pytest.raises(ProjectNotFoundError):
            await one.within(caller, named)
    with pytest.raises(ScopeMissingError):
        await one.within(ANONYMOUS, "shop")
