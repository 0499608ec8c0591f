"""Secrets of requests: each belongs to its job's deliveries at its own URL, encrypted at rest."""

from dataclasses import replace

import pytest

from reelhook.domain.conflicts import EndpointLockedError
from reelhook.domain.encryption import EncryptionKey, Keyring, is_encrypted
from reelhook.domain.endpoint import url_id
from reelhook.ports import Destination, DueDelivery, NewJob
from reelhook.storage.operation import Database
from reelhook.storage.store import Store

from .conftest import Sql
from .samples import (
    ENDPOINT,
    FINISHED,
    NOW,
    OK,
    URL,
    due_now,
    flat,
    look,
    moved,
    new,
    queued,
    settled,
)
from .test_secrets_at_rest import reencrypted

OLD_KEY, NEW_KEY = EncryptionKey.of(bytes(32)), EncryptionKey.of(bytes(range(32)))
OLD, NEW, BOTH = Keyring([OLD_KEY]), Keyring([NEW_KEY]), Keyring([NEW_KEY, OLD_KEY])
SECRET = "whsec_b2YgdGhlIHJlcXVlc3Q="
LATE = NOW + 60_000


def with_secret(job_id: str = "job_1", secret: str | None = SECRET) -> NewJob:
    """A job whose request has a URL with a secret, and names an endpoint."""
    own = Destination.to(URL, secret=secret)
    return replace(new(job_id, urls=()), destinations=(Destination(ENDPOINT.id), own))


async def ended(store: Store, made: NewJob) -> None:
    job = await queued(store, made, f"video_{made.job.id}")
    await moved(store, job.apply(FINISHED, NOW))


async def signing(store: Store, now: int = NOW) -> dict[tuple[str, str], str | None]:
    """The request's secret of all that is due, by job and endpoint."""
    found = await due_now(store, now)
    return {(one.delivery.job_id, one.delivery.endpoint_id): one.secret for one in found}


async def own_due(store: Store, job_id: str = "job_1", now: int = NOW) -> DueDelivery:
    due = {one.delivery.job_id: one for one in await due_now(store, now) if one.delivery.url}
    return due[job_id]


async def stored_secrets(sql: Sql) -> list[str]:
    rows = await sql("SELECT secret FROM deliveries WHERE secret IS NOT NULL ORDER BY id")
    return [row[0] for row in rows]


@pytest.mark.parametrize("keyring", [Keyring(), NEW])
async def test_it_signs_at_the_own_url_of_its_job_and_nowhere_else(
    keyring: Keyring, database: Database
) -> None:
    store = Store(database, keyring)
    await store.create_endpoint(ENDPOINT)
    await ended(store, with_secret())
    await ended(store, with_secret("job_2", None))
    assert await signing(store) == {
        ("job_1", url_id(URL)): SECRET,
        ("job_1", ENDPOINT.id): None,
        ("job_2", url_id(URL)): None,
        ("job_2", ENDPOINT.id): None,
    }
    assert (await store.endpoint(url_id(URL))).secret is None
    again = await store.due_delivery((await own_due(store)).delivery.id, NOW)
    assert again is not None
    assert [due.secret for due in again.deliveries] == [SECRET]


async def test_it_is_encrypted_at_rest_and_a_resend_keeps_it(database: Database, sql: Sql) -> None:
    store = Store(database, NEW)
    await store.create_endpoint(ENDPOINT)
    await ended(store, with_secret())
    first = await own_due(store)
    await settled(store, first, OK)
    await store.resend_one(first.delivery.id, None, LATE)
    assert (await own_due(store, now=LATE)).secret == SECRET
    found = await stored_secrets(sql)
    assert len(found) == 2
    assert all(map(is_encrypted, found))


@pytest.mark.parametrize("keyring", [Keyring(), OLD])
async def test_without_its_key_it_stays_encrypted_and_locks_its_webhook_alone(
    keyring: Keyring, database: Database
) -> None:
    await Store(database, NEW).create_endpoint(ENDPOINT)
    await ended(Store(database, NEW), with_secret())
    blind = Store(database, keyring)
    await ended(blind, new("other", urls=(URL,)))
    due = flat(await look(blind))
    assert {(one.delivery.endpoint_id, one.delivery.job_id) for one in due if one.locked} == {
        (url_id(URL), with_secret().job.id)
    }
    assert not any(one.endpoint.locked for one in (await look(blind)).endpoints)


async def test_a_secret_moved_to_another_job_is_not_used_there(
    database: Database, sql: Sql
) -> None:
    store = Store(database, NEW)
    await store.create_endpoint(ENDPOINT)
    await ended(store, with_secret())
    await ended(store, with_secret("job_2", "another-secret-of-16"))
    await sql(
        "UPDATE deliveries SET secret = (SELECT secret FROM deliveries d WHERE d.job_id = 'job_1'"
        " AND d.secret IS NOT NULL) WHERE job_id = 'job_2' AND secret IS NOT NULL"
    )
    secrets = await signing(store)
    assert secrets["job_1", url_id(URL)] == SECRET
    moved_there = secrets["job_2", url_id(URL)]
    assert moved_there is not None
    assert is_encrypted(moved_there)


async def test_it_is_encrypted_again_with_a_newer_key_resends_included(
    database: Database, sql: Sql
) -> None:
    store = Store(database, OLD)
    await store.create_endpoint(ENDPOINT)
    for number in range(3):
        await ended(store, with_secret(f"job_{number}", f"{SECRET}{number}"))
    for due in await due_now(store):
        if due.secret is not None:
            await store.resend_one(due.delivery.id, None, NOW)
    batches = await reencrypted(Store(database, BOTH), limit=2)
    assert batches[0].total == 6
    newest = Store(database, NEW)
    found = [one.secret for one in await due_now(newest) if one.delivery.url is not None]
    assert sorted(map(str, found)) == sorted(f"{SECRET}{number}" for number in (0, 1, 2) * 2)
    assert len(set(await stored_secrets(sql))) == 3


async def test_an_adopting_job_takes_it_over(database: Database) -> None:
    store = Store(database, NEW)
    await store.create_endpoint(ENDPOINT)
    await store.create(with_secret())
    destinations = await store.destinations("job_1")
    assert [to.secret for to in destinations] == [None, SECRET]
    await ended(store, replace(new("job_2"), destinations=tuple(destinations)))
    assert (await own_due(store, "job_2")).secret == SECRET
    with pytest.raises(EndpointLockedError):
        await Store(database, OLD).destinations("job_1")


async def test_it_is_shown_by_no_repr(database: Database) -> None:
    store = Store(database, NEW)
    await store.create_endpoint(ENDPOINT)
    made = with_secret()
    await ended(store, made)
    assert SECRET not in repr((made, await store.destinations("job_1"), await look(store)))
