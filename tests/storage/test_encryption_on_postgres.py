"""Encryption keys of processes that share a PostgreSQL database."""

from dataclasses import replace

import pytest

from reelhook import bootstrap
from reelhook.bootstrap.database import open_database
from reelhook.bootstrap.doctor.encryption import encryption
from reelhook.config import Settings
from reelhook.domain.encryption import EncryptionKey, UndecryptableError, key_text
from reelhook.storage.store import Store

from .samples import ENDPOINT

OLD, NEW = key_text(bytes(32)), key_text(bytes(range(32)))
OLD_ID, NEW_ID = EncryptionKey.parse(OLD).id, EncryptionKey.parse(NEW).id
SHOP = replace(ENDPOINT, secret="of the shop")


def settings(url: str, *keys: str) -> Settings:
    return Settings.of(database_url=url, encryption_keys=keys)


async def reencrypt(given: Settings) -> int:
    """Encrypt all secrets again; return how many were changed."""
    async with bootstrap.open_secrets(given) as store:
        assert store is not None
        batches = [await store.reencrypt(None, 100)]
        while batches[-1].next_cursor is not None:
            batches.append(await store.reencrypt(batches[-1].next_cursor, 100))
    return sum(batch.changed for batch in batches)


async def test_keys_are_exchanged_while_processes_run(url: str) -> None:
    async with open_database(settings(url, OLD), migrate=False) as running:
        await running.store.create_endpoint(SHOP)
        async with open_database(settings(url, NEW, OLD), migrate=False) as restarted:
            assert await restarted.store.endpoint(SHOP.id) == SHOP
            assert await reencrypt(settings(url, NEW, OLD)) == 2
            assert (await running.store.endpoint(SHOP.id)).locked
            assert await restarted.store.endpoint(SHOP.id) == SHOP
        async with open_database(settings(url, NEW), migrate=False) as last:
            assert await last.store.endpoint(SHOP.id) == SHOP


@pytest.mark.parametrize("keys", [(), (OLD,)])
async def test_a_process_without_the_key_does_not_start(url: str, keys: tuple[str, ...]) -> None:
    async with open_database(settings(url, NEW), migrate=False):
        pass
    with pytest.raises(UndecryptableError, match=f"{NEW_ID}; add that key to REELHOOK_ENC"):
        async with open_database(settings(url, *keys), migrate=False):
            pass


async def test_our_own_keys_are_read_with_the_key_alone(url: str, shared: Store) -> None:
    secret = await bootstrap.webhook_secret(settings(url, NEW))
    assert secret == await bootstrap.webhook_secret(settings(url, NEW))
    assert await Store(shared._database, settings(url, NEW).keyring).key("webhook", "") == secret
    with pytest.raises(UndecryptableError):
        await bootstrap.webhook_secret(settings(url))
    with pytest.raises(UndecryptableError):
        async with open_database(settings(url), migrate=False):
            pass


async def test_the_doctor_names_the_missing_key(url: str, shared: Store) -> None:
    await Store(shared._database, settings(url, OLD).keyring).create_endpoint(SHOP)
    found = await encryption(settings(url, NEW))
    assert found.verdict.value == "failed"
    assert f"endpoints/{SHOP.id} can't be decrypted" in found.message
    assert f"add the key {OLD_ID}" in found.message
