"""Keys in the database: found by hash, by id and by project; changed and used."""

from dataclasses import replace

import pytest

from reelhook.domain.api_key import ApiKey, KeyGrant, KeyNotFoundError
from reelhook.domain.caller import Rate, Scope
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import NOW

KEY = ApiKey(
    id="key_1",
    project="prj_1",
    name="web",
    hint="rhk_abcd",
    scopes=frozenset({Scope.READ, Scope.OPERATE}),
    models=("openai/sora-2", "fal/veo3"),
    rates=(Rate(60, 60), Rate(1000, 3600)),
    created_at=NOW,
    created_by="key_0",
    expires_at=NOW + 1000,
)
PLAIN = ApiKey(
    "key_2", "default", "app", "rhk_efgh", frozenset({Scope.ADMIN}), None, (), created_at=NOW + 1
)


async def test_a_key_is_read_as_it_was_stored(store: Store) -> None:
    for key, token_hash in ((KEY, "hash 1"), (PLAIN, "hash 2")):
        await store.create_api_key(key, token_hash)
        assert await store.api_key(key.id) == key
        assert await store.api_key_grant(token_hash) == KeyGrant(key)
        assert await store.api_key_grant_by_id(key.id) == KeyGrant(key)
    assert await store.api_keys() == [KEY, PLAIN]


async def test_another_project_s_key_does_not_exist(store: Store) -> None:
    await store.create_api_key(KEY, "hash 1")
    await store.create_api_key(PLAIN, "hash 2")
    assert await store.api_keys(seen_by="prj_1") == [KEY]
    assert await store.api_key("key_1", seen_by="prj_1") == KEY
    for seen_by, key_id in (("prj_1", "key_2"), ("default", "key_1"), (None, "key_3")):
        with pytest.raises(KeyNotFoundError):
            await store.api_key(key_id, seen_by=seen_by)
        with pytest.raises(KeyNotFoundError):
            await store.change_api_key(key_id, lambda key: key, seen_by=seen_by)
    assert await store.api_key_grant("hash 3") is None
    assert await store.api_key_grant_by_id("key_3") is None


async def test_after_a_rotation_both_texts_are_found(store: Store) -> None:
    await store.create_api_key(KEY, "hash 1")

    def rotate(key: ApiKey) -> ApiKey:
        return replace(key, hint="rhk_wxyz", previous_until=NOW + 10)

    after = await store.change_api_key("key_1", rotate, new_hash="hash 2")
    assert after == replace(KEY, hint="rhk_wxyz", previous_until=NOW + 10)
    assert await store.api_key_grant("hash 2") == KeyGrant(after)
    assert await store.api_key_grant("hash 1") == KeyGrant(after, by_previous=True)
    await store.change_api_key("key_1", rotate, new_hash="hash 3")
    assert await store.api_key_grant("hash 1") is None


async def test_many_keys_are_read_at_once_by_hash_and_by_id(store: Store, sql: Sql) -> None:
    await store.create_api_key(KEY, "hash 1")
    await store.create_api_key(PLAIN, "hash 2")
    await sql(
        "INSERT INTO projects (id, name, created_at, closed_at, models)"
        " VALUES (?1, ?2, ?3, ?4, ?5)",
        *("prj_1", "shop", NOW, NOW, '["fal/veo3"]'),
    )
    rotated = replace(PLAIN, previous_until=NOW + 10)
    await store.change_api_key("key_2", lambda key: rotated, new_hash="hash 3")
    of_shop = KeyGrant(KEY, project_closed=True, project_models=("fal/veo3",))
    unknown = [*(f"hash x{number}" for number in range(500)), "key_unknown", "hash 4"]
    names = ["hash 1", "key_1", "hash 2", "hash 3", "key_2", *unknown]
    assert await store.api_key_grants(names) == {
        "hash 1": of_shop,
        "key_1": of_shop,
        "hash 2": KeyGrant(rotated, by_previous=True),
        "hash 3": KeyGrant(rotated),
        "key_2": KeyGrant(rotated),
    }
    assert await store.api_key_grants([]) == {}


async def test_a_grant_has_what_the_project_allows(store: Store, sql: Sql) -> None:
    await store.create_api_key(KEY, "hash 1")
    await sql(
        "INSERT INTO projects (id, name, created_at, closed_at, models)"
        " VALUES (?1, ?2, ?3, ?4, ?5)",
        *("prj_1", "shop", NOW, NOW, '["fal/veo3"]'),
    )
    expected = KeyGrant(KEY, project_closed=True, project_models=("fal/veo3",))
    assert await store.api_key_grant("hash 1") == expected
    assert not await store.any_valid_api_key(NOW)


async def test_a_use_is_recorded_at_most_once_a_minute(store: Store) -> None:
    await store.create_api_key(KEY, "hash 1")
    for at, stored in ((NOW, NOW), (NOW + 59_999, NOW), (NOW + 60_000, NOW + 60_000)):
        await store.record_api_key_use("key_1", at)
        assert (await store.api_key("key_1")).last_used_at == stored


async def test_keys_that_have_ended_count_as_made_but_not_as_valid(store: Store) -> None:
    assert not await store.any_api_key()
    assert not await store.any_valid_api_key(NOW)
    await store.create_api_key(KEY, "hash 1")
    assert await store.any_valid_api_key(NOW)
    assert not await store.any_valid_api_key(NOW + 1000)
    await store.change_api_key("key_1", lambda key: replace(key, revoked_at=NOW))
    assert not await store.any_valid_api_key(NOW)
    assert await store.any_api_key()
