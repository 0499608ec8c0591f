"""`reelhook archive` with a bucket of moto's S3 server, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.databases import PostgresServer
from cli_programs import Outcome, reelhook
from moto_bucket import BUCKET, moto_bucket, variables
from test_archive_commands import add_videos, manifest, video

from reelhook.objects.store import ObstoreObjects
from reelhook.storage.open import open_store
from reelhook.storage.schema.migrate import migrate
from reelhook.storage.store import Store

PLACE = f"s3://{BUCKET}/kept"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database; empty: SQLite in the data directory."""
    if request.param == "sqlite":
        yield ""
        return
    with PostgresServer() as server:
        server.never_wait_for_the_disk()
        yield server.url


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with moto_bucket() as url:
        for name, value in variables(url).items():
            monkeypatch.setenv(name, value)
        yield url


@pytest.fixture
def run(database: str, bucket: str, tmp_path: Path) -> Callable[..., Outcome]:
    """Run a command next to a database with three archived videos."""
    target = database or tmp_path / "reelhook.db"

    async def fill() -> None:
        async with open_store(target) as opened:
            await add_videos(Store(opened), ObstoreObjects(PLACE))

    migrate(target)
    asyncio.run(fill())
    given = {
        **variables(bucket),
        **({"DATABASE_URL": database} if database else {}),
        "REELHOOK_ARCHIVE_URL": PLACE,
        "REELHOOK_DATA_DIR": str(tmp_path),
    }

    def command(*arguments: str, **more: str) -> Outcome:
        return reelhook("archive", *arguments, directory=tmp_path, **given, **more)

    return command


async def size_of(key: str) -> int | None:
    return await ObstoreObjects(PLACE).size(key)


async def damage() -> None:
    objects = ObstoreObjects(PLACE)
    damaged = video("job_1").replace(b"the", b"teh")
    await objects.put_bytes("videos/job_1.mp4", damaged, "video/mp4")
    await objects.delete(["videos/job_2.mp4"])


@pytest.mark.long  # each command is a process, and PostgreSQL takes seconds to start
def test_each_command_works(run: Callable[..., Outcome], tmp_path: Path) -> None:
    files = run("ls", "--json").json["files"]
    assert [one["object"] for one in files] == [f"videos/job_{number}.mp4" for number in range(3)]
    whole = run("verify", "--json")
    assert (whole.code, whole.json["files"], whole.json["findings"]) == (0, 3, [])

    folder = tmp_path / "exported"
    exported = run("export", str(folder), "--json")
    assert (exported.code, exported.json["written"]) == (0, 3)
    for line in manifest(folder):
        assert (folder / line["file"]).read_bytes() == video(line["jobId"])

    asyncio.run(damage())
    found = run("verify", "--json")
    assert found.code == 1
    assert [(one["fault"], one["jobId"]) for one in found.json["findings"]] == [
        ("damaged", "job_1"),
        ("missing", "job_2"),
    ]
    again = run("export", str(folder / "again"), "--json")
    assert (again.code, list(again.json["failed"])) == (1, ["job_1", "job_2"])

    said = run("prune", "--dry-run", "--json", REELHOOK_ARCHIVE_KEEP_DAYS="2.5")
    assert [one["jobId"] for one in said.json["removed"]] == ["job_0"]
    done = run("prune", "--json", REELHOOK_ARCHIVE_KEEP_DAYS="2.5")
    assert (done.code, done.json["removed"]) == (0, said.json["removed"])
    assert asyncio.run(size_of("videos/job_0.mp4")) is None
    assert [one["jobId"] for one in run("ls", "--json").json["files"]] == ["job_1", "job_2"]
