"""Deliveries when endpoints are migrated, rolled back, and migrated again."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from reelhook.domain.delivery import Outcome, UndeliveredReason
from reelhook.domain.endpoint import DEFAULT_ENDPOINT, Endpoint, EndpointKind, url_id
from reelhook.ports import DeliveryFilter, DueDelivery, Resend, StoredDelivery, Undelivered
from reelhook.storage.operation import Row
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.schema.rolling_back import rollback
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

from .samples import ENDPOINT, NOW, OK, due_now, exhausted, settled, telling

OLD_DEFAULT, DEFAULT = "http://localhost:3000/old", "http://localhost:3000/hook?token=1"
HOOK = "https://h.example/hook"
JOB = """
INSERT INTO jobs (id, account, status, script, title, model, render_version, created_at, updated_at,
  sequence) VALUES (?1, 'acme', 'processing', 'A cat', 'A cat', 'sora-2', 'v3', 0, 0, 2)
"""
EVENT = """
INSERT INTO events (id, job_id, sequence, kind, status, progress, occurred_at, body)
VALUES ('evt_' || ?1 || '_' || ?2, ?1, ?2, ?3, 'processing', 0, ?4, ?5)
"""
DELIVERY = """
INSERT INTO deliveries (job_id, endpoint_id, lane, url, trusted, status_sequence,
  progress_sequence, attempts, due_at, ended) VALUES (?1, ?2, 3, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
"""
ATTEMPT = """
INSERT INTO attempts (delivery_id, event_id, sequence, number, started_at, duration_ms,
  http_status, answer) SELECT id, '', ?2, 1, ?3, 7, ?4, '' FROM deliveries WHERE job_id = ?1
"""
# job: endpoint, URL, trusted, status waiting, progress waiting, attempts, due, ended
DELIVERIES = {
    "fresh": ("https://h.example:443/hook", f"{HOOK}?job=fresh", 0, None, None, 0, None, 0),
    "end": ("https://h.example:443/hook", f"{HOOK}?job=end", 0, 2, None, 2, NOW + 20, 0),
    "both": ("https://h.example:443/hook", f"{HOOK}?job=both", 0, 1, 2, 0, NOW + 30, 0),
    "elsewhere": ("http://i.example:80/", "http://i.example", 0, None, 2, 1, NOW + 40, 0),
    "old_default": ("http://localhost:3000/old", OLD_DEFAULT, 1, 1, None, 0, NOW + 50, 0),
    "same_untrusted": ("http://localhost:3000/hook", DEFAULT, 0, 1, None, 0, NOW + 60, 0),
    "default": ("http://localhost:3000/hook", DEFAULT, 1, 2, None, 0, NOW + 70, 0),
    "delivered": ("https://h.example:443/hook", HOOK, 0, None, None, 0, None, 0),
    "exhausted": ("https://h.example:443/hook", HOOK, 0, None, None, 0, None, 0),
    "gone": ("https://h.example:443/hook", HOOK, 0, None, None, 0, None, 1),
}
ENDS = {"end", "default", "delivered"}
ATTEMPTS = [
    *(("end", 1, NOW, 204), ("end", 2, NOW + 8, 500), ("delivered", 1, NOW, 500)),
    *(("delivered", 1, NOW + 5, 200), ("delivered", 2, NOW + 9, 299)),
    *(("exhausted", 1, NOW, 200), ("exhausted", 2, NOW + 9, None), ("gone", 1, NOW, 410)),
]
KEPT = """
SELECT job_id, url, trusted, status_sequence, progress_sequence, attempts, due_at, ended
FROM deliveries ORDER BY job_id
"""


def undone(target: Path | str, *, destroy: bool) -> str:
    """Roll back one revision; return its name."""
    done = rollback(target, destroy=destroy)
    assert done is not None
    return done.revision


def rows(path: Path, text: str) -> list[Row]:
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(text).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database from before there were endpoints, with deliveries in every state."""
    path = tmp_path_factory.mktemp("old") / "reelhook.db"
    migrations.migrate(path, 2)
    connection = apsw.Connection(str(path))
    with connection:
        for position, (job, delivery) in enumerate(DELIVERIES.items()):
            connection.execute(JOB, (job,))
            for sequence, kind in ((1, "status"), (2, "terminal" if job in ENDS else "progress")):
                at, told = NOW + position * 10 + sequence, f"{job} {sequence}".encode()
                connection.execute(EVENT, (job, sequence, kind, at, told))
            connection.execute(DELIVERY, (job, *delivery))
        for attempt in ATTEMPTS:
            connection.execute(ATTEMPT, attempt)
    connection.close()
    return path


@pytest.fixture(scope="module")
def new(old: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with endpoints."""
    path = Path(shutil.copy(old, tmp_path_factory.mktemp("new")))
    assert migrations.migrate(path, 1) == ["0003_endpoints"]
    return path


@pytest.fixture
def path(new: Path, tmp_path: Path) -> Path:
    """The same, of the test's own."""
    return Path(shutil.copy(new, tmp_path))


@asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[Store]:
    migrations.migrate(path)  # with all that followed
    database = SQLite(path)
    try:
        yield Store(database)
    finally:
        await database.close()


async def deliveries(store: Store) -> dict[str, StoredDelivery]:
    page = await store.deliveries(DeliveryFilter(), 100, None)
    return {one.delivery.job_id: one for one in page.deliveries}


async def waiting(store: Store) -> dict[str, tuple[DueDelivery, Endpoint]]:
    due = await store.due_deliveries(NOW + 999, per_endpoint=99, limit=999, busy=frozenset())
    return {
        one.delivery.job_id: (one, found.endpoint)
        for found in due.endpoints
        for one in found.deliveries
    }


WAITING = {"end", "both", "elsewhere", "old_default", "same_untrusted", "default"}


# -- up --------------------------------------------------------------------------------------------


async def test_all_that_waits_is_still_sent_where_and_what_it_was_to_be(path: Path) -> None:
    async with open_store(path) as store:
        found = await waiting(store)
        assert set(found) == WAITING
        for job, (due, endpoint) in found.items():
            _, url, trusted, status, progress, attempts, due_at, _ = DELIVERIES[job]
            assert (due.delivery.url or endpoint.url, endpoint.trusted) == (url, bool(trusted))
            assert (due.delivery.attempts, due.delivery.due_at) == (attempts, due_at)
            assert due.delivery.next_sequence == (status or progress)
            assert due.event.body == f"{job} {status or progress}".encode()


async def test_endpoints_are_made_of_the_urls_whatever_their_query(path: Path) -> None:
    async with open_store(path) as store:
        found = {job: one.delivery.endpoint_id for job, one in (await deliveries(store)).items()}
        assert {found[job] for job in ("fresh", "end", "both", "gone")} == {url_id(HOOK)}
        assert found["elsewhere"] == url_id("http://i.example")
        assert found["same_untrusted"] == url_id(DEFAULT)
        (default,) = await store.endpoints()
        assert (default.id, default.url, default.trusted) == (DEFAULT_ENDPOINT, DEFAULT, True)
        assert {found["default"], found["old_default"]} == {DEFAULT_ENDPOINT}
        own = await store.endpoint(url_id(HOOK))
        assert (own.kind, own.url) == (EndpointKind.URL, "https://h.example:443/hook")


async def test_what_goes_to_the_default_endpoint_follows_it_and_what_is_older_stays(
    path: Path,
) -> None:
    migrations.migrate(path)  # the store writes to the newest schema alone
    async with open_store(path) as store:
        (default,) = await store.endpoints()
        await store.keep_default_endpoint(replace(default, url="http://localhost:4000/"))
        found = await deliveries(store)
        assert found["default"].url == "http://localhost:4000/"
        assert found["old_default"].url == OLD_DEFAULT


async def test_the_end_of_a_job_that_waits_is_known_as_such(path: Path) -> None:
    async with open_store(path) as store:
        ends = {job: one.delivery.terminal_at for job, one in (await deliveries(store)).items()}
        assert {job for job, at in ends.items() if at is not None} == {"end", "default"}
        assert ends["end"] == NOW + 12


async def test_how_deliveries_ended_before_is_read_off_their_attempts(path: Path) -> None:
    async with open_store(path) as store:
        found = {job: one.delivery for job, one in (await deliveries(store)).items()}
        assert {job: one.state for job, one in found.items() if job not in WAITING} == {
            "fresh": None,
            "delivered": "delivered",
            "exhausted": "failed",
            "gone": "ended",
        }
        assert {job: one.delivered_sequence for job, one in found.items() if one.outcome} == {
            "delivered": 2,
            "exhausted": 1,
            "gone": None,
        }
        assert found["gone"].outcome is Outcome.GONE
        assert found["end"].delivered_sequence == 1
        assert await store.undelivered(found["exhausted"].id) == [
            Undelivered(2, UndeliveredReason.EXHAUSTED, NOW + 16)
        ]


async def test_what_failed_before_can_be_sent_anew(path: Path) -> None:
    migrations.migrate(path)  # the store writes to the newest schema alone
    async with open_store(path) as store:
        await store.start_resend(Resend("resend_1", NOW, NOW + 999))
        assert (await store.advance_resend("resend_1", 10, NOW + 999)).resent == 1
        assert (await waiting(store))["exhausted"][0].event.sequence == 2


async def test_events_are_in_the_order_in_which_they_happened(path: Path) -> None:
    async with open_store(path) as store:
        page = await store.events_after(None, 100)
        assert [one.event_id for one in page.events] == [
            f"evt_{job}_{sequence}" for job in DELIVERIES for sequence in (1, 2)
        ]
        assert not page.more


# -- down and up again -----------------------------------------------------------------------------


async def test_going_back_leaves_every_delivery_as_it_was(path: Path, old: Path) -> None:
    before = rows(old, KEPT)
    attempts = rows(old, "SELECT * FROM attempts ORDER BY id")
    assert undone(path, destroy=False) == "0003_endpoints"
    assert rows(path, KEPT) == before
    assert rows(path, "SELECT * FROM attempts ORDER BY id") == attempts
    assert rows(path, "PRAGMA foreign_key_check") == []


async def test_going_back_and_forth_changes_nothing(path: Path) -> None:
    tables = ("endpoints", "deliveries", "attempts", "events", "undelivered", "jobs")
    before = {table: set(rows(path, f"SELECT * FROM {table}")) for table in tables}  # noqa: S608 - names of our own tables
    for _ in range(2):
        rollback(path, destroy=False)
        migrations.migrate(path, 1)
    assert {table: set(rows(path, f"SELECT * FROM {table}")) for table in tables} == before  # noqa: S608 - as above


async def test_an_event_of_several_endpoints_of_one_job_is_still_sent_to_each_after_both_ways(
    path: Path,
) -> None:
    migrations.migrate(path)
    async with open_store(path) as store:
        for name, trusted in (("ep_1", False), ("ep_2", False), ("ep_3", True), ("ep_4", True)):
            await store.create_endpoint(replace(ENDPOINT, id=name, url=HOOK, trusted=trusted))
        named = ["ep_1", "ep_2", "ep_3", "ep_4", DEFAULT_ENDPOINT]
        await telling(store, "several", f"{HOOK}?job=1", endpoints=named)
        before = {one.delivery.endpoint_id: one for one in await several(store)}
    go_back(path)
    assert len(rows(path, "SELECT * FROM deliveries WHERE job_id = 'several'")) == 6
    migrations.migrate(path)
    async with open_store(path) as store:
        after = {one.delivery.endpoint_id: one for one in await several(store)}
        assert set(after) == set(before) == {*named, url_id(HOOK)}
        for name, one in after.items():
            assert (one.url, one.delivery.due_at) == (before[name].url, NOW)
            trusted = name in {"ep_3", "ep_4", DEFAULT_ENDPOINT}
            assert (await store.endpoint(name)).trusted is trusted


def go_back(path: Path) -> None:
    """Roll back what followed, and endpoints themselves."""
    while "0003_endpoints" not in migrations.pending(path):
        rollback(path, destroy=False)


async def several(store: Store) -> list[StoredDelivery]:
    return list((await store.deliveries(DeliveryFilter(job_id="several"), 100, None)).deliveries)


async def test_going_back_forgets_resends_with_all_that_hangs_on_them(path: Path) -> None:
    migrations.migrate(path)
    async with open_store(path) as store:
        await telling(store, "job_1", HOOK)
        (due,) = [one for one in await due_now(store) if one.delivery.job_id == "job_1"]
        await exhausted(store, due)
        resent = await store.resend_one(due.delivery.id, None, NOW)
        (again,) = [one for one in await due_now(store) if one.delivery.id == resent.id]
        await settled(store, again, OK)
    attempts = len(rows(path, "SELECT * FROM attempts"))
    go_back(path)
    assert rows(path, "SELECT count(*) FROM deliveries WHERE job_id = 'job_1'") == [(1,)]
    assert len(rows(path, "SELECT * FROM attempts")) == attempts - 1
    assert rows(path, "PRAGMA foreign_key_check") == []
