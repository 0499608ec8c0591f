"""Upgrades and rollbacks while processes of other versions use the database."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from bench.stage import until

from reelhook.bootstrap.database import open_database
from reelhook.cli import database
from reelhook.cli.error_messages import command_line_message
from reelhook.config import Settings
from reelhook.domain.endpoint import url_id
from reelhook.domain.errors import SettingsError
from reelhook.domain.job import Status
from reelhook.ports import NewJob
from reelhook.storage.open import open_store
from reelhook.storage.postgres import driver as postgres
from reelhook.storage.schema import applying
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.schema.compatibility import EARLIER_MAY_RUN, may_use, number_of, oldest_of
from reelhook.storage.schema.rolling_back import rollback
from reelhook.storage.store import Store

from .postgres_databases import fresh_url  # noqa: F401 - the fixture `url`
from .samples import ACCOUNT, ENDPOINT, URL, due_now, new, queued, statement, submitting

FAR = 10**15
NEWEST = migrations.revisions()[-1]


@asynccontextmanager
async def store_on(target: Path | str) -> AsyncIterator[Store]:
    async with open_store(target) as database:
        yield Store(database)


async def execute(url: str, text: str, *parameters: object) -> None:
    connection = await postgres.connect(url)
    try:
        await connection.execute(text, *parameters)
    finally:
        await connection.close()


async def present(url: str) -> int:
    """Return the number of processes that are on record."""
    connection = await postgres.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM processes"))
    finally:
        await connection.close()


async def one_present(url: str) -> bool:
    return await present(url) == 1


# -- what each revision says -----------------------------------------------------------------------


def test_each_revision_says_whether_the_previous_version_may_run_at_the_same_time() -> None:
    for name in migrations.revisions():
        if number_of(name) < "0015":
            assert number_of(name) in EARLIER_MAY_RUN
        else:
            assert isinstance(applying.revision(name).previous_may_run, bool), name


def test_the_oldest_schema_that_may_run_is_the_last_that_tolerates_no_other() -> None:
    later = {"0015_projects": False, "0016_a": True, "0017_b": True}.__getitem__
    assert oldest_of(["0013_servers"], later) == "0013"
    known = [name for name in migrations.revisions() if number_of(name) <= "0015"]
    assert oldest_of(known, later) == "0015"
    assert oldest_of([*known, "0016_a", "0017_b"], later) == "0015"


@pytest.mark.parametrize(
    ("schema", "oldest", "allowed"),
    [
        ("0015", "0015", True),
        ("0016", "0015", True),
        ("0016", "0016", False),
        ("0014", "0014", False),
        ("copying:0015", "0015", False),
        ("moved:0015", "0015", False),
        ("", "", False),
    ],
)
def test_a_program_may_use_its_own_schema_and_later_ones_that_tolerate_it(
    schema: str, oldest: str, allowed: bool
) -> None:
    assert may_use("0015", schema, oldest) is allowed


# -- upgrades --------------------------------------------------------------------------------------


async def test_no_revision_is_applied_under_a_process_that_it_would_break(url: str) -> None:
    while "0016_doors" not in migrations.pending(url):
        rollback(url, destroy=False)
    missing = migrations.pending(url)
    await execute(url, "INSERT INTO workers VALUES ('worker-1', now_ms() + 5000)")
    with pytest.raises(SettingsError) as refused:
        migrations.migrate(url)
    message = command_line_message(refused.value)
    assert "0016_doors can't be applied" in message
    assert "worker-1" in message
    assert migrations.pending(url) == missing
    await execute(url, "UPDATE workers SET seen_until = 1")
    assert migrations.migrate(url) == missing


@pytest.mark.parametrize("table", ["workers", "processes"])
async def test_a_time_from_before_the_clock_was_set_back_prevents_no_change(
    url: str, table: str
) -> None:
    await execute(url, f"INSERT INTO {table} VALUES ('ahead', now_ms() + 3600000)")  # noqa: S608 - names of ours
    rollback(url, destroy=False)
    assert migrations.pending(url) == [NEWEST]


async def test_a_process_of_the_version_before_projects_counts_without_a_worker(url: str) -> None:
    back_to_projects(url)
    rollback(url, destroy=False)
    missing = migrations.pending(url)
    api = await postgres.connect(url)  # all that such a process shows of itself
    try:
        await api.execute('LISTEN "reelhook"')
        with pytest.raises(SettingsError, match=r"a session from .*, pid"):
            migrations.migrate(url)
        assert migrations.pending(url) == missing
    finally:
        await api.close()
    assert migrations.migrate(url) == missing


async def test_a_person_with_psql_prevents_no_upgrade(url: str) -> None:
    rollback(url, destroy=False)
    psql = await postgres.connect(url)
    try:
        await psql.execute("SET application_name = 'psql'")
        await psql.execute("SELECT 1")
        assert migrations.migrate(url) == [NEWEST]
    finally:
        await psql.close()


# -- running processes -----------------------------------------------------------------------------


def settings(url: str) -> Settings:
    return Settings.of(database_url=url)


async def test_a_process_that_has_the_database_open_prevents_a_rollback(url: str) -> None:
    async with open_database(settings(url), migrate=True):
        with pytest.raises(SettingsError, match="Processes use this database"):
            rollback(url, destroy=False)
    undone = rollback(url, destroy=False)
    assert undone is not None
    assert undone.revision == NEWEST


@pytest.mark.parametrize("schema", ["0014", "0099", "moved:0015"])
async def test_a_process_stops_when_the_schema_moves_on_under_it(url: str, schema: str) -> None:
    with pytest.raises(SettingsError) as stopped:  # noqa: PT012 - the error comes from its end
        async with open_database(settings(url), migrate=True):
            await execute(url, "UPDATE alembic_version SET oldest = '0099'")
            await execute(url, "UPDATE alembic_version SET version_num = $1", schema)
            await asyncio.wait_for(asyncio.Event().wait(), 30)
    assert f"was changed from {number_of(NEWEST)} to {schema}" in stopped.value.message
    assert "\n" not in stopped.value.message
    assert await present(url) == 0


async def test_a_process_goes_on_under_a_later_schema_that_tolerates_it(url: str) -> None:
    async with open_database(settings(url), migrate=True) as opened:
        await execute(url, "UPDATE alembic_version SET version_num = '0099'")
        await execute(url, "DELETE FROM processes")
        assert await until(lambda: one_present(url), seconds=30)
        assert await opened.store.key("still", "here") == "here"


async def test_a_host_that_cancels_its_own_block_gets_no_other_error(url: str) -> None:
    async def host() -> None:
        async with open_database(settings(url), migrate=True):
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    running = asyncio.create_task(host())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# -- rolling projects back -------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest) -> Path | str:
    """A database of the test's own with the newest schema."""
    if request.param == "sqlite":
        return request.getfixturevalue("database_path")  # type: ignore[no-any-return] # a path
    return request.getfixturevalue("url")  # type: ignore[no-any-return] # a URL


def of(project: str, made: NewJob) -> NewJob:
    return replace(made, job=replace(made.job, project=project))


def back_to_projects(target: Path | str) -> None:
    """Roll back what followed the revision that brought projects."""
    while migrations.revisions()[-1 - len(migrations.pending(target))] != "0015_projects":
        rollback(target, destroy=False)


async def two_projects(store: Store) -> None:
    """Store jobs of `default` and of two projects, one of them with a name."""
    await store.create(new("ours"))
    await queued(store, new("ours-running"), "video_1")
    await store.create(of("prj_1", new("waits")))
    await submitting(store, of("prj_1", new("in-doubt")))
    await queued(store, of("prj_2", new("renders")), "video_2")
    await store._database.write(
        lambda: statement("INSERT INTO projects (id, name, created_at) VALUES ('prj_1', 'shop', 1)")
    )


async def test_unfinished_jobs_of_projects_prevent_a_rollback(target: Path | str) -> None:
    async with store_on(target) as store:
        await two_projects(store)
    back_to_projects(target)
    before = migrations.pending(target)
    with pytest.raises(SettingsError) as refused:
        rollback(target, destroy=False)
    message = command_line_message(refused.value)
    assert "(prj_2: 1, shop: 2)" in message
    assert "--end-jobs" in message
    assert migrations.pending(target) == before
    migrations.migrate(target)
    async with store_on(target) as store:
        assert (await store.job("waits")).job.status is Status.ACCEPTED


async def test_ending_jobs_ends_those_that_wait_and_loses_none_that_was_paid(
    target: Path | str,
) -> None:
    async with store_on(target) as store:
        await two_projects(store)
    back_to_projects(target)
    done = rollback(target, destroy=False, end_jobs=True)
    assert done is not None
    assert done.dropped == {"projects": 1}
    assert [(job.id, job.project) for job in done.ended] == [("waits", "shop")]
    assert [(job.id, job.provider_job_id) for job in done.running] == [
        ("in-doubt", None),
        ("renders", "video_2"),
    ]
    migrations.migrate(target)
    async with store_on(target) as store:
        ended = (await store.job("waits")).job
        assert (ended.status, ended.code) == (Status.FAILED, "rolled_back")
        assert {job.provider_job_id for job in await store.jobs_to_watch(ACCOUNT)} == {
            "video_1",
            "video_2",
        }
        assert [job.id for job in await store.jobs_submitting(ACCOUNT)] == ["in-doubt"]
        waiting, _ = await store.jobs_to_submit(ACCOUNT, FAR, 9)
        assert [stored.job.id for stored in waiting] == ["ours"]
        [due] = await due_now(store, FAR)
        assert (due.delivery.job_id, due.delivery.endpoint_id) == ("waits", url_id(URL))
        assert json.loads(due.event.body)["code"] == "rolled_back"


async def test_an_endpoint_of_a_project_never_gets_the_events_of_all(target: Path | str) -> None:
    async with store_on(target) as store:
        await store.create_endpoint(replace(ENDPOINT, broadcast=True))
        await store.create_endpoint(replace(ENDPOINT, id="ep_2", broadcast=True))
        await store._database.write(
            lambda: statement("UPDATE endpoints SET project = 'prj_1' WHERE id = 'ep_2'")
        )
    back_to_projects(target)
    done = rollback(target, destroy=False)
    assert done is not None
    assert done.dropped == {"broadcasts": 1}
    migrations.migrate(target)
    async with store_on(target) as store:
        assert [(one.id, one.broadcast) for one in await store.endpoints()] == [
            ("ep_1", True),
            ("ep_2", False),
        ]


async def test_a_rollback_without_projects_drops_nothing_and_needs_no_consent(
    target: Path | str,
) -> None:
    async with store_on(target) as store:
        await store.create(new("ours"))
        await queued(store, new("running"), "video_1")
    back_to_projects(target)
    done = rollback(target, destroy=False)
    assert done is not None
    assert (done.dropped, done.ended, done.running) == ({}, (), ())
    migrations.migrate(target)
    async with store_on(target) as store:
        assert [job.id for job in await store.jobs_to_watch(ACCOUNT)] == ["running"]
        waiting, _ = await store.jobs_to_submit(ACCOUNT, FAR, 9)
        assert [stored.job.id for stored in waiting] == ["ours"]


async def test_the_command_names_what_it_dropped(
    database_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with store_on(database_path) as store:
        await two_projects(store)
    monkeypatch.setenv("REELHOOK_DATA_DIR", str(database_path.parent))
    await asyncio.to_thread(back_to_projects, database_path)
    await asyncio.to_thread(database.rollback, end_jobs=True)
    assert capsys.readouterr().out.splitlines() == [
        "Rolled back 0015_projects.",
        "Dropped 1 project.",
        "Ended waits of shop, which waited.",
        "in-doubt of shop goes on: acme may have it.",
        "renders of prj_2 goes on: acme has it as video_2.",
    ]
