from pathlib import Path

import apsw
import pytest
from migrated_database import prepare

from reelhook.cli.error_messages import command_line_message
from reelhook.domain.errors import SettingsError
from reelhook.domain.job import Status
from reelhook.ports import ALL_JOBS
from reelhook.storage.operation import Row
from reelhook.storage.postgres.driver import PostgreSQL
from reelhook.storage.schema import migrate as migrations
from reelhook.storage.schema.rolling_back import rollback
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

from .postgres_databases import fresh_database
from .samples import ACCOUNT, CAT, FINISHED, NOW, RUNNING, moved, new, queued, submitting

ALL = [
    *("0001_core", "0002_tracking", "0003_endpoints", "0004_workers", "0005_shared"),
    *("0006_models", "0007_listings", "0008_next_at", "0009_commits", "0011_waits"),
    *("0012_responses", "0013_servers"),
    "0014_forgotten",
    "0015_projects",
    "0016_doors",
    "0017_archive",
]
CORE_VIEW = [
    *("job_id", "wallet_address", "script_body", "title", "status", "error_message"),
    *("created_at", "updated_at"),
]


def undone(target: Path | str, *, destroy: bool) -> str:
    """Roll back one revision; return its name."""
    done = rollback(target, destroy=destroy)
    assert done is not None
    return done.revision


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reelhook.db"


def rows(path: Path, text: str) -> list[Row]:
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(text).fetchall()
    finally:
        connection.close()


def schema(path: Path) -> set[Row]:
    return set(rows(path, "SELECT type, name, tbl_name, sql FROM sqlite_master"))


def columns(path: Path, table: str) -> list[str]:
    return [row[1] for row in rows(path, f"PRAGMA table_info({table})")]


async def fill(path: Path) -> None:
    """Store a job of every status."""
    database = SQLite(path)
    try:
        store = Store(database)
        await store.create(new("accepted"))
        await submitting(store, new("submitting"))
        await queued(store, new("queued"), "video_1")
        await moved(store, (await queued(store, new("processing"), "video_2")).apply(RUNNING, NOW))
        await moved(store, (await queued(store, new("completed"), "video_3")).apply(FINISHED, NOW))
        await moved(store, (await queued(store, new("canceled"), "video_4")).cancel(NOW))
    finally:
        await database.close()


# -- forward ---------------------------------------------------------------------------------------


def test_a_new_database_lacks_every_revision(path: Path) -> None:
    assert migrations.revisions() == ALL
    assert migrations.pending(path) == ALL


def test_migrating_brings_all_revisions_and_is_done_once(path: Path) -> None:
    assert migrations.migrate(path) == ALL
    assert migrations.pending(path) == []
    assert migrations.migrate(path) == []


def test_migrating_goes_one_revision_at_a_time(path: Path) -> None:
    assert migrations.migrate(path, 1) == ["0001_core"]
    assert migrations.pending(path) == ALL[1:]
    assert columns(path, "video_jobs") == CORE_VIEW
    assert migrations.migrate(path, 1) == ["0002_tracking"]
    assert len(columns(path, "video_jobs")) == 14
    for revision in ALL[2:]:
        assert migrations.migrate(path, 1) == [revision]
        assert len(columns(path, "video_jobs")) == 14
    assert migrations.migrate(path, 1) == []


@pytest.mark.parametrize("name", ["a b", "what?", "50%", "100%25", "ü#1", "'; --"])
def test_a_database_may_lie_under_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    migrations.migrate(folder / "reelhook.db")
    assert migrations.pending(folder / "reelhook.db") == []
    assert [one.name for one in folder.iterdir()] == ["reelhook.db"]


def test_a_revision_that_fails_half_way_leaves_everything_as_it_was(path: Path) -> None:
    migrations.migrate(path, 2)
    rows(path, "CREATE TABLE resends (x)")  # the next revision's own table stands in its way
    before = schema(path)
    with pytest.raises(Exception, match="resends already exists"):
        migrations.migrate(path, 1)
    assert schema(path) == before
    assert migrations.pending(path) == ALL[2:]
    rows(path, "DROP TABLE resends")
    assert migrations.migrate(path) == ALL[2:]


# -- back ------------------------------------------------------------------------------------------


async def test_rolling_tracking_back_keeps_the_jobs(path: Path) -> None:
    prepare(path)
    await fill(path)
    kept = (
        "SELECT job_id, wallet_address, script_body, title, status, error_message, created_at,"
        " updated_at FROM video_jobs ORDER BY job_id"
    )
    before = rows(path, kept)
    for revision in reversed(ALL[1:]):
        assert undone(path, destroy=False) == revision
        assert rows(path, kept) == before
    assert len(before) == 6
    assert columns(path, "video_jobs") == CORE_VIEW
    tables = rows(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    assert tables == [("alembic_version",), ("idempotency_keys",), ("jobs",), ("keys",)]


def go_back_to_models(target: Path | str) -> list[str]:
    """Roll models back, and all that followed; return the names of what is missing now."""
    while "0006_models" not in migrations.pending(target):
        rollback(target, destroy=False)
    return ALL[ALL.index("0006_models") :]


async def test_rolling_models_back_keeps_the_jobs_running(path: Path) -> None:
    prepare(path)
    await fill(path)
    before = rows(path, "SELECT * FROM video_jobs ORDER BY job_id")
    back = go_back_to_models(path)
    assert rows(path, "SELECT * FROM video_jobs ORDER BY job_id") == before
    assert "provider" not in columns(path, "jobs")
    assert migrations.migrate(path) == back
    database = SQLite(path)
    try:
        store = Store(database)
        jobs = {one.job.id: one for one in (await store.jobs(ALL_JOBS, 9, None)).jobs}
        assert {name: one.job.status.value for name, one in jobs.items()} == {
            name: name for name in jobs
        }
        assert {one.job.provider for one in jobs.values()} == {"openai"}
        assert {(await store.job(name)).request for name in jobs} == {CAT}
        watched = {one.provider_job_id for one in await store.jobs_to_watch(ACCOUNT)}
        assert watched == {"video_1", "video_2"}
    finally:
        await database.close()


async def test_rolling_models_back_keeps_the_jobs_on_postgresql(postgres_url: str) -> None:
    async with fresh_database(postgres_url) as url:
        database = await PostgreSQL.open(url)
        store = Store(database)
        await queued(store, new("queued"), "video_1")
        await submitting(store, new("submitting"))
        await database.close()
        back = go_back_to_models(url)
        assert migrations.pending(url) == back
        assert migrations.migrate(url) == back
        database = await PostgreSQL.open(url)
        store = Store(database)
        assert [job.provider_job_id for job in await store.jobs_to_watch(ACCOUNT)] == ["video_1"]
        [job] = await store.jobs_submitting(ACCOUNT)
        assert (job.id, (await store.job(job.id)).request) == ("submitting", CAT)
        await database.close()


async def test_jobs_that_ran_when_tracking_was_rolled_back_end_and_say_why(path: Path) -> None:
    prepare(path)
    await fill(path)
    for _ in ALL[1:]:
        rollback(path, destroy=False)
    migrations.migrate(path)
    database = SQLite(path)
    try:
        store = Store(database)
        jobs = {one.job.id: one.job for one in (await store.jobs(ALL_JOBS, 9, None)).jobs}
        for name in ("submitting", "queued", "processing"):
            assert (jobs[name].status, jobs[name].code) == (Status.FAILED, "submission_unknown")
            assert "register the provider's job again" in (jobs[name].error or "")
        for name in ("accepted", "completed", "canceled"):
            assert jobs[name].status == name
        assert await store.jobs_to_watch(ACCOUNT) == []
        assert await store.jobs_submitting(ACCOUNT) == []
    finally:
        await database.close()


async def test_going_back_to_nothing_needs_destroy(path: Path) -> None:
    prepare(path)
    await fill(path)
    for _ in ALL[1:]:
        rollback(path, destroy=False)
    before = schema(path)
    with pytest.raises(SettingsError, match=r"0001_core deletes every job") as refused:
        rollback(path, destroy=False)
    assert "--destroy" in command_line_message(refused.value)
    assert "0001_core" in command_line_message(refused.value)
    assert schema(path) == before
    assert rows(path, "SELECT count(*) FROM jobs") == [(6,)]
    assert undone(path, destroy=True) == "0001_core"
    assert columns(path, "jobs") == []
    assert migrations.pending(path) == ALL
    assert rollback(path, destroy=True) is None


def test_destroy_still_goes_one_revision_at_a_time(path: Path) -> None:
    prepare(path)
    assert undone(path, destroy=True) == ALL[-1]
    assert migrations.pending(path) == ALL[-1:]


def test_the_schema_is_the_same_by_whatever_way_it_was_reached(path: Path, migrated: Path) -> None:
    migrations.migrate(path)
    assert schema(path) == schema(migrated)
    rollback(path, destroy=False)
    migrations.migrate(path)
    assert schema(path) == schema(migrated)
    for _ in ALL:
        rollback(path, destroy=True)
    for _ in ALL:
        migrations.migrate(path, 1)
    assert schema(path) == schema(migrated)


# -- what can't be used ----------------------------------------------------------------------------


def test_a_newer_schema_is_refused_in_one_sentence_and_left_alone(path: Path) -> None:
    prepare(path)
    rows(path, "UPDATE alembic_version SET version_num = '0099'")
    before = schema(path)
    for attempt in (
        lambda: migrations.pending(path),
        lambda: migrations.migrate(path),
        lambda: rollback(path, destroy=True),
    ):
        with pytest.raises(SettingsError) as refused:
            attempt()
        newest = migrations.revisions()[-1].partition("_")[0]
        assert f"schema 0099, newer than this reelhook knows ({newest})" in refused.value.message
        assert refused.value.message.endswith("install a newer reelhook")
        assert "\n" not in refused.value.message
    assert schema(path) == before


def test_a_file_that_is_no_database_is_refused_in_one_sentence(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 500)
    with pytest.raises(SettingsError, match=r"reelhook\.db can't be opened: .*not a database"):
        migrations.migrate(path)


def test_a_path_that_can_not_be_opened_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be opened"):
        migrations.pending(tmp_path / "missing" / "reelhook.db")
