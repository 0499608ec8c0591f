"""Secrets at rest: with keys nothing secret is readable in the database, and everything works."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from reelhook.domain.conflicts import EndpointLockedError, ProjectLockedError
from reelhook.domain.encryption import (
    EncryptionKey,
    Keyring,
    NoEncryptionKeyError,
    UndecryptableError,
)
from reelhook.domain.endpoint import DEFAULT_ENDPOINT, Endpoint, EndpointKind
from reelhook.domain.errors import UnknownCursorError
from reelhook.domain.project import Project
from reelhook.ports import ReencryptedBatch, Undecryptable
from reelhook.storage.at_rest import AtRest
from reelhook.storage.open import open_store
from reelhook.storage.operation import Database
from reelhook.storage.operations import secrets_at_rest
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.store import Store
from reelhook.storage.transfer.backup import back_up
from reelhook.storage.transfer.copying import copy

from .conftest import Sql
from .samples import ENDPOINT, NOW, URL, due_now, flat, look, telling

OLD_KEY, NEW_KEY = EncryptionKey.of(bytes(32)), EncryptionKey.of(bytes(range(32)))
OLD, NEW, BOTH = Keyring([OLD_KEY]), Keyring([NEW_KEY]), Keyring([NEW_KEY, OLD_KEY])
SECRETS = ("whsec_of-the-shop", "whsec_of-before", "Bearer of-the-shop")
SHOP = replace(
    ENDPOINT,
    id="ep_shop",
    secret=SECRETS[0],
    previous_secret=SECRETS[1],
    previous_until=NOW + 1,
    headers=(("Authorization", SECRETS[2]), ("X-Shop", "7-of-the-shop")),
)
OPEN = replace(ENDPOINT, id="ep_without_secrets")


async def everything(sql: Sql) -> str:
    """All that the tables with secrets have."""
    tables = ("SELECT * FROM keys", "SELECT * FROM projects", "SELECT * FROM endpoints")
    return repr([await sql(table) for table in tables])


async def reencrypted(store: Store, limit: int = 100) -> list[ReencryptedBatch]:
    """Encrypt everything again; return all batches."""
    batches = [await store.reencrypt(None, limit)]
    while batches[-1].next_cursor is not None:
        batches.append(await store.reencrypt(batches[-1].next_cursor, limit))
    return batches


# -- writing and reading ---------------------------------------------------------------------------


async def test_with_a_key_no_secret_is_readable_in_the_database(
    database: Database, sql: Sql
) -> None:
    store = Store(database, NEW)
    await store.create_endpoint(SHOP)
    assert await store.key("webhook", "whsec_of-all") == "whsec_of-all"
    found = await everything(sql)
    assert "of-the-shop" not in found
    assert "of-before" not in found
    assert "of-all" not in found
    assert "Authorization" in found  # a name is no secret
    assert await store.endpoint(SHOP.id) == SHOP
    assert await store.endpoints() == [SHOP]
    assert await store.key("webhook", "another") == "whsec_of-all"


async def test_a_rotation_encrypts_the_new_secret_and_the_previous_one(
    database: Database, sql: Sql
) -> None:
    store = Store(database, NEW)
    await store.create_endpoint(SHOP)
    rotated = await store.change_endpoint(SHOP.id, lambda one: one.rotated("the-newest", NOW, 9))
    assert (rotated.secret, rotated.previous_secret) == ("the-newest", SECRETS[0])
    assert await store.endpoint(SHOP.id) == rotated
    found = await everything(sql)
    assert "the-newest" not in found
    assert SECRETS[0] not in found


async def test_a_due_delivery_has_the_plain_secret(database: Database) -> None:
    store = Store(database, NEW)
    await store.create_endpoint(SHOP)
    await telling(store, "job_1", endpoints=[SHOP.id])
    found = await look(store)
    assert [one.endpoint.secret for one in found.endpoints] == [SECRETS[0]]
    (due,) = flat(found)
    again = await store.due_delivery(due.delivery.id, NOW)
    assert again is not None
    assert again.endpoint.headers == SHOP.headers


async def test_without_keys_texts_are_stored_plain_and_stay_readable_with_keys(
    database: Database,
) -> None:
    await Store(database).create_endpoint(SHOP)
    assert await Store(database).endpoint(SHOP.id) == SHOP
    assert await Store(database, NEW).endpoint(SHOP.id) == SHOP


# -- without the key -------------------------------------------------------------------------------


@pytest.mark.parametrize("keyring", [Keyring(), OLD])
async def test_without_its_key_an_endpoint_is_locked_and_keeps_its_secrets(
    keyring: Keyring, database: Database
) -> None:
    await Store(database, NEW).create_endpoint(SHOP)
    blind = Store(database, keyring)
    locked = await blind.endpoint(SHOP.id)
    assert locked.locked
    assert [name for name, _ in locked.headers] == ["Authorization", "X-Shop"]
    await blind.change_endpoint(SHOP.id, lambda one: replace(one, description="The shop"))
    assert await Store(database, NEW).endpoint(SHOP.id) == replace(SHOP, description="The shop")


async def test_without_its_key_its_secrets_can_not_be_changed(database: Database) -> None:
    await Store(database, NEW).create_endpoint(SHOP)
    blind = Store(database, OLD)
    with pytest.raises(EndpointLockedError, match=SHOP.id):
        await blind.change_endpoint(SHOP.id, lambda one: one.rotated("the-newest", NOW, 9))
    with pytest.raises(EndpointLockedError):
        await blind.change_endpoint(SHOP.id, lambda one: replace(one, headers=()))
    assert await Store(database, NEW).endpoint(SHOP.id) == SHOP


async def test_a_text_moved_to_another_endpoint_is_not_used_there(
    database: Database, sql: Sql
) -> None:
    store = Store(database, NEW)
    await store.create_endpoint(SHOP)
    await store.create_endpoint(OPEN)
    await sql("UPDATE endpoints SET secret = (SELECT secret FROM endpoints WHERE id = 'ep_shop')")
    assert not (await store.endpoint(SHOP.id)).locked
    assert (await store.endpoint(OPEN.id)).locked


async def test_our_own_key_can_not_be_read_without_the_encryption_key(database: Database) -> None:
    await Store(database, NEW).key("download", "0" * 64)
    with pytest.raises(UndecryptableError, match=NEW_KEY.id):
        await Store(database, OLD).key("download", "1" * 64)


async def test_a_database_knows_the_keys_that_it_was_used_with(database: Database) -> None:
    for keyring in (Keyring(), OLD, BOTH):
        await Store(database, keyring).check_encryption_keys()
    for keyring in (Keyring(), NEW):
        with pytest.raises(UndecryptableError, match=f"{OLD_KEY.id}; add that key"):
            await Store(database, keyring).check_encryption_keys()
    await reencrypted(Store(database, BOTH))
    with pytest.raises(UndecryptableError, match=f"{NEW_KEY.id}; add that key"):
        await Store(database, OLD).check_encryption_keys()
    await Store(database, NEW).check_encryption_keys()


# -- another key -----------------------------------------------------------------------------------


async def test_all_secrets_are_encrypted_again_in_batches(database: Database, sql: Sql) -> None:
    plain, old = Store(database), Store(database, OLD)
    await plain.upstream("simulator")
    await plain.key("callback", "plain of old")
    await plain.create_endpoint(SHOP)
    for number in range(5):
        await old.create_endpoint(replace(SHOP, id=f"ep_{number}"))
    await plain.create_endpoint(OPEN)
    await sql(
        "INSERT INTO projects (id, name, created_at, secret) VALUES ('prj_1', 'shop', 1, 'plain')"
    )
    batches = await reencrypted(Store(database, BOTH), limit=2)
    assert batches[0].total == 8
    assert sum(batch.rows for batch in batches) == sum(batch.changed for batch in batches) == 8
    assert {batch.key_id for batch in batches} == {NEW_KEY.id}
    assert "plain" not in (found := await everything(sql))
    assert OLD_KEY.id not in found
    assert "simulator" in found
    new = Store(database, NEW)
    assert await new.key("callback", "") == "plain of old"
    assert await new.endpoint(SHOP.id) == SHOP
    assert await new.endpoint("ep_4") == replace(SHOP, id="ep_4")
    assert await new.endpoint(OPEN.id) == OPEN
    place = ("projects", "prj_1", "secret")
    ((secret,),) = await sql("SELECT secret FROM projects")
    assert AtRest(NEW).decrypt(secret, place) == "plain"


async def test_a_second_run_changes_nothing(database: Database) -> None:
    store = Store(database, NEW)
    await store.create_endpoint(SHOP)
    assert sum(batch.changed for batch in await reencrypted(store)) == 0


async def test_rows_of_an_unknown_key_are_reported_and_left_alone(database: Database) -> None:
    old, new = Store(database, OLD), Store(database, NEW)
    await old.create_endpoint(SHOP)
    await new.create_endpoint(replace(SHOP, id="ep_z"))
    reported = [one for batch in await reencrypted(new) for one in batch.undecryptable]
    assert reported == [Undecryptable("endpoints", SHOP.id, OLD_KEY.id)]
    assert await old.endpoint(SHOP.id) == SHOP


async def test_without_a_key_there_is_nothing_to_encrypt_with(store: Store) -> None:
    with pytest.raises(NoEncryptionKeyError):
        await store.reencrypt(None, 10)


async def test_a_cursor_must_come_from_an_earlier_batch(database: Database) -> None:
    with pytest.raises(UnknownCursorError):
        await Store(database, NEW).reencrypt("jobs/1", 10)


# -- looking at them -------------------------------------------------------------------------------


async def test_a_survey_counts_texts_by_key_and_finds_those_of_unknown_keys(
    database: Database,
) -> None:
    await Store(database).key("operator", "1")
    await Store(database, OLD).create_endpoint(SHOP)
    await Store(database, NEW).create_endpoint(replace(SHOP, id="ep_z", headers=()))
    found = await database.read(lambda: secrets_at_rest.survey(AtRest(NEW)))
    assert found.keys[None] == 1
    assert found.keys[NEW_KEY.id] == 2
    assert found.undecryptable == (Undecryptable("endpoints", SHOP.id, OLD_KEY.id),)


async def test_a_jobs_own_url_and_the_default_endpoint_need_no_key(database: Database) -> None:
    default = replace(ENDPOINT, id=DEFAULT_ENDPOINT, kind=EndpointKind.DEFAULT)
    await Store(database, NEW).keep_default_endpoint(default)
    await telling(Store(database, NEW), "job_1", URL)
    assert await Store(database, OLD).endpoints() == [default]
    assert await due_now(Store(database, OLD)) != []


# -- while others write, and in another database ---------------------------------------------------


async def test_changes_made_while_secrets_are_encrypted_again_are_not_lost(
    database: Database,
) -> None:
    old, both = Store(database, OLD), Store(database, BOTH)
    for number in range(30):
        await old.create_endpoint(replace(SHOP, id=f"ep_{number:02}"))

    async def rotated(number: int) -> Endpoint:
        return await both.change_endpoint(
            f"ep_{number:02}", lambda one: one.rotated(f"the newest of {number}", NOW, 9)
        )

    changing = asyncio.gather(*(rotated(number) for number in range(30)))
    await reencrypted(both, limit=3)
    changed = await changing
    assert await Store(database, NEW).endpoints() == changed
    assert not any(endpoint.locked for endpoint in changed)


async def test_two_processes_may_encrypt_the_same_secrets_at_once(url: str) -> None:
    one, other = await PostgreSQL.open(url), await PostgreSQL.open(url)
    try:
        for number in range(30):
            await Store(one, OLD).create_endpoint(replace(SHOP, id=f"ep_{number:02}"))
        await asyncio.gather(
            reencrypted(Store(one, BOTH), limit=7), reencrypted(Store(other, BOTH), limit=5)
        )
        assert not any(found.locked for found in await Store(other, NEW).endpoints())
    finally:
        await one.close()
        await other.close()


async def test_a_copied_database_is_read_with_the_same_key(database_path: Path, url: str) -> None:
    async with open_store(database_path) as source:
        await Store(source, NEW).create_endpoint(SHOP)
        await Store(source, NEW).key("webhook", "whsec_of-all")
    await copy(database_path, url, lambda *_: None)
    async with open_store(url) as target:
        assert await Store(target, NEW).endpoint(SHOP.id) == SHOP
        assert await Store(target, NEW).key("webhook", "another") == "whsec_of-all"
        assert (await Store(target, OLD).endpoint(SHOP.id)).locked


async def test_a_backup_is_read_with_the_same_key(database_path: Path, tmp_path: Path) -> None:
    async with open_store(database_path) as source:
        await Store(source, NEW).create_endpoint(SHOP)
        back_up(database_path, tmp_path / "copy.db")
    async with open_store(tmp_path / "copy.db") as restored:
        assert await Store(restored, NEW).endpoint(SHOP.id) == SHOP


# -- secrets of projects ---------------------------------------------------------------------------

PROJECT = Project("prj_shop", "shop", NOW, secret=SECRETS[0])
OF_PROJECT = replace(ENDPOINT, id="ep_of_project", kind=EndpointKind.URL, project=PROJECT.id)


async def test_the_secrets_of_a_project_are_encrypted_and_sign_its_endpoints(
    database: Database, sql: Sql
) -> None:
    store = Store(database, NEW)
    await store.create_project(PROJECT)
    await store.create_endpoint(replace(OF_PROJECT, secret=None))
    rotated = await store.change_project(
        "shop", lambda one: one.rotated("whsec_new-of-the-shop", NOW, 9), NOW
    )
    assert rotated.secrets == ("whsec_new-of-the-shop", SECRETS[0])
    assert "of-the-shop" not in await everything(sql)
    assert await store.project("shop") == rotated
    assert rotated in await store.projects()
    secrets = (await store.endpoint(OF_PROJECT.id)).project_secrets
    assert secrets is not None
    assert (secrets.secret, secrets.previous) == rotated.secrets


async def test_a_project_that_can_not_be_decrypted_keeps_its_secrets(database: Database) -> None:
    await Store(database, OLD).create_project(PROJECT)
    await Store(database, OLD).create_endpoint(replace(OF_PROJECT, secret=None))
    store = Store(database, NEW)
    assert (await store.endpoint(OF_PROJECT.id)).locked
    with pytest.raises(ProjectLockedError, match="add the key"):
        await store.change_project("shop", lambda one: one.rotated("another", NOW, 9), NOW)
    await store.change_project("shop", lambda one: replace(one, weight=3), NOW)
    assert await Store(database, OLD).project("shop") == replace(PROJECT, weight=3)
