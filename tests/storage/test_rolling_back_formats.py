"""Rolling back formats: nothing is sent that its receiver would read wrongly or refuse."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reelhook.domain.encryption import EncryptionKey, Keyring
from reelhook.domain.endpoint import Disabled, url_id
from reelhook.ports import Destination
from reelhook.storage.open import open_store
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.schema.rolling_back import RolledBack, rollback
from reelhook.storage.store import Store

from .postgres_databases import fresh_url  # noqa: F401 - the fixture `url`
from .samples import ENDPOINT, NOW, RUNNING, URL, due_now, moved, new, queued

KEYS = Keyring([EncryptionKey.of(bytes(32))])
REVISION = "0016_doors"
OPENAI = replace(ENDPOINT, id="ep_openai", format="openai")
SECRET = "a-secret-of-the-request"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def target(request: pytest.FixtureRequest) -> Path | str:
    """A database of the test's own with the newest schema."""
    name = "database_path" if request.param == "sqlite" else "url"
    return request.getfixturevalue(name)  # type: ignore[no-any-return] # a path, or a URL


@asynccontextmanager
async def store_on(target: Path | str, keyring: Keyring | None = None) -> AsyncIterator[Store]:
    async with open_store(target) as database:
        yield Store(database, keyring)


async def running(store: Store, job_id: str, *destinations: Destination) -> None:
    made = replace(new(job_id, urls=()), destinations=destinations)
    job = await queued(store, made, f"video_{job_id}")
    await moved(store, job.apply(RUNNING, NOW))


def rolled_back(target: Path | str, keyring: Keyring | None = None) -> RolledBack:
    """Roll back the revision, and all that followed; return what that dropped."""
    undone = None
    while REVISION not in migrations.pending(target):
        undone = rollback(target, destroy=False, keyring=keyring)
    assert undone is not None
    return undone


async def test_only_webhooks_that_an_earlier_version_can_send_remain(target: Path | str) -> None:
    async with store_on(target) as store:
        await store.create_endpoint(ENDPOINT)
        await store.create_endpoint(OPENAI)
        both = (Destination(ENDPOINT.id), Destination(OPENAI.id))
        await running(store, "of endpoints", *both)
        await running(store, "with secret", Destination.to(URL, secret=SECRET))
        await running(store, "in vercel", Destination.to(URL, body_format="vercel"))
        await running(store, "plain", Destination.to(URL))
    undone = rolled_back(target)
    assert undone.dropped == {"formats": 1, "callbacks": 2}
    migrations.migrate(target)
    async with store_on(target) as store:
        due = {(one.delivery.job_id, one.delivery.endpoint_id) for one in await due_now(store)}
        assert due == {("of endpoints", ENDPOINT.id), ("plain", url_id(URL))}
        endpoint = await store.endpoint(OPENAI.id)
        assert (endpoint.format, endpoint.disabled) == ("reelhook", Disabled.OPERATOR)
        assert (await store.endpoint(ENDPOINT.id)).disabled is None
        job = (await store.job("with secret")).job
        await moved(store, job.cancel(NOW))
        assert {one.delivery.job_id for one in await due_now(store)} == {"of endpoints", "plain"}


async def test_secrets_of_requests_hinder_no_rollback_without_their_key(
    target: Path | str,
) -> None:
    async with store_on(target, KEYS) as store:
        await running(store, "with secret", Destination.to(URL, secret=SECRET))
    rolled_back(target)
    rollback(target, destroy=False)  # the one that decrypts: nothing else is encrypted
    assert "0015_projects" in migrations.pending(target)
