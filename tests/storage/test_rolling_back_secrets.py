"""Rolling back behind encryption: the secrets are decrypted first, or nothing changes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reelhook.domain.encryption import EncryptionKey, Keyring, UndecryptableError
from reelhook.storage.open import open_store
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.schema import rolling_back
from reelhook.storage.sqlite.witness import Witness
from reelhook.storage.store import Store

from .postgres_databases import fresh_url  # noqa: F401 - the fixture `url`
from .samples import ENDPOINT

KEYS = Keyring([EncryptionKey.of(bytes(32))])
REVISION = rolling_back.ENCRYPTION_REVISION
SHOP = replace(ENDPOINT, secret="whsec_of-the-shop", headers=(("X-Shop", "a: 'b' ?1 :p1"),))


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest) -> Path | str:
    """A database of the test's own with the newest schema."""
    name = "database_path" if request.param == "sqlite" else "url"
    return request.getfixturevalue(name)  # type: ignore[no-any-return] # a path, or a URL


@asynccontextmanager
async def store_on(target: Path | str, keyring: Keyring | None = None) -> AsyncIterator[Store]:
    async with open_store(target) as database:
        yield Store(database, keyring)


def rolled_back(target: Path | str, keyring: Keyring) -> None:
    """Roll back the revision that brought encryption, and all after it."""
    while REVISION not in migrations.pending(target):
        rolling_back.rollback(target, destroy=False, keyring=keyring)


async def filled(target: Path | str) -> None:
    async with store_on(target, KEYS) as store:
        await store.check_encryption_keys()
        await store.create_endpoint(SHOP)
        await store.key("webhook", "whsec_of-all")


async def test_a_rollback_decrypts_every_secret_first(target: Path | str) -> None:
    await filled(target)
    rolled_back(target, KEYS)
    migrations.migrate(target)
    async with store_on(target) as store:
        await store.check_encryption_keys()
        assert await store.endpoint(SHOP.id) == SHOP
        assert await store.key("webhook", "another") == "whsec_of-all"


@pytest.mark.parametrize("keyring", [Keyring(), Keyring([EncryptionKey.of(bytes(range(32)))])])
async def test_without_the_key_a_rollback_changes_nothing(
    target: Path | str, keyring: Keyring
) -> None:
    await filled(target)
    while migrations.revisions()[-1 - len(migrations.pending(target))] != REVISION:
        rolling_back.rollback(target, destroy=False, keyring=KEYS)
    if isinstance(target, Path):
        Witness(target).path.write_bytes(b"seen")
    with pytest.raises(UndecryptableError, match=r"; add that key to REELHOOK_ENCRYPTION_KEYS"):
        rolled_back(target, keyring)
    if isinstance(target, Path):
        assert Witness(target).path.read_bytes() == b"seen"
    assert REVISION not in migrations.pending(target)
    migrations.migrate(target)
    async with store_on(target, KEYS) as store:
        assert await store.endpoint(SHOP.id) == SHOP
