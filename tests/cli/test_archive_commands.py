"""`reelhook archive`: listing, verifying, pruning and exporting, beside a server or without one."""

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import pytest
from cli_programs import Outcome, on_terminal, reelhook
from gateways import AT_ONCE, gateway, until
from migrated_database import prepare

from reelhook.bootstrap.archived.export import name_of
from reelhook.domain.archive import ArchivedFile, FileState
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Finished
from reelhook.domain.request import VideoRequest
from reelhook.objects.store import ObstoreObjects
from reelhook.ports import Change, NewJob, StoredJob
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.sqlite.file_lock import FileLock
from reelhook.storage.store import Store

NOW = time.time_ns() // 1_000_000
TWO_HOURS = 7200


def video(job_id: str) -> bytes:
    return f"the bytes of {job_id}".encode() * 1000


async def add_videos(store: Store, objects: ObstoreObjects) -> None:
    """Store three archived videos, the oldest first: they are 3, 2 and 1 days old."""
    for number in range(3):
        await _add(store, objects, f"job_{number}", NOW - (3 - number) * 86_400_000)


async def _add(store: Store, objects: ObstoreObjects, job_id: str, at: int) -> None:
    job = Job(job_id, "acme", Status.ACCEPTED, at, at, model="sora-2").accept(f"v_{job_id}", at)
    job = replace(
        job,
        external_id=f"order-{job_id}",
        metadata='{"scene": "5"}',
        estimated_amount=0.4,
        estimated_unit="USD",
    )
    request = VideoRequest("Zwei Füchse / im Regen", "sora-2", title="Zwei Füchse / im Regen")
    await store.create(NewJob(job, request, None, ()))
    done, _ = job.apply(Finished("https://cdn.example/v.mp4"), at)
    assert await store.record([Change(done)], None)
    file = await store.archived_file(job_id)
    assert file is not None
    key, body = f"videos/{job_id}.mp4", video(job_id)
    await objects.put_bytes(key, body, "video/mp4")
    stored = file.stored(key, len(body), sha256(body).hexdigest(), "video/mp4", at)
    assert await store.record_file(stored)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with three archived videos, the oldest first."""
    folder = tmp_path / "data"
    folder.mkdir()
    prepare(folder / "reelhook.db")

    async def fill() -> None:
        database = SQLite(folder / "reelhook.db")
        await add_videos(Store(database), ObstoreObjects((folder / "archive").as_uri()))
        await database.close()

    asyncio.run(fill())
    return folder


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Callable[..., Outcome]:
    def command(*arguments: str, **variables: str) -> Outcome:
        named = ("archive", *arguments, "--data-dir", str(data))
        return reelhook(*named, directory=tmp_path, **variables)

    return command


@pytest.fixture
def beside_a_server(data: Path) -> Iterator[None]:
    """What a server does with its database: it owns the file."""
    with FileLock(data / "reelhook.db"):
        yield


Run = Callable[..., Outcome]


@pytest.mark.usefixtures("beside_a_server")
def test_the_list_names_the_job_of_each_file(run: Run) -> None:
    files = run("ls", "--json").json["files"]
    assert [one["jobId"] for one in files] == ["job_0", "job_1", "job_2"]
    assert files[0]["object"] == "videos/job_0.mp4"
    assert files[0]["sha256"] == sha256(video("job_0")).hexdigest()
    assert "job_1\tstored\t" in run("ls").out
    assert run("ls", "--state", "lost", "--json").json == {"files": []}
    assert run("ls", "--project", "nobody").code == 1
    assert run("ls", "--state", "whole").code == 2


@pytest.mark.usefixtures("beside_a_server")
def test_a_whole_archive_is_verified(run: Run) -> None:
    ended = run("verify", "--json")
    assert (ended.code, ended.json["files"], ended.json["findings"]) == (0, 3, [])


@pytest.mark.usefixtures("beside_a_server")
def test_on_a_terminal_a_bar_shows_the_bytes_and_the_result_stays(
    tmp_path: Path, data: Path
) -> None:
    for command in (("verify",), ("export", "videos")):
        named = ("archive", *command, "--data-dir", str(data))
        code, shown = on_terminal(*named, directory=tmp_path)
        assert code == 0
        assert re.search(r"(Verifying|Exporting) .*\d/\d+\.\d KiB", shown)
        last = shown.strip().splitlines()[-1]
        assert last in {
            "3 files, 0.1 MiB compared; 0 findings.",
            "videos: 3 files written; 0.1 MiB with a manifest.",
        }


@pytest.mark.usefixtures("beside_a_server")
def test_missing_damaged_and_orphaned_objects_are_found(run: Run, data: Path) -> None:
    videos = data / "archive" / "videos"
    (videos / "job_0.mp4").unlink()
    (videos / "job_1.mp4").write_bytes(video("job_1").replace(b"the", b"teh"))
    for name, age in (("old", TWO_HOURS), ("in_flight", 0), ("queued", TWO_HOURS)):
        (videos / f"{name}.mp4").write_bytes(b"nobody's")
        os.utime(videos / f"{name}.mp4", (time.time() - age,) * 2)
    with closing(apsw.Connection(str(data / "reelhook.db"))) as database:
        database.execute("INSERT INTO removed_objects VALUES ('videos/queued.mp4', 0)")
    ended = run("verify", "--json")
    assert ended.code == 1
    found = {one["object"]: one for one in ended.json["findings"]}
    assert {key: (one["fault"], one["jobId"]) for key, one in found.items()} == {
        "videos/job_0.mp4": ("missing", "job_0"),
        "videos/job_1.mp4": ("damaged", "job_1"),
        "videos/old.mp4": ("orphan", None),
    }
    damaged = found["videos/job_1.mp4"]
    assert damaged["expectedSha256"] == sha256(video("job_1")).hexdigest()
    assert damaged["foundSha256"] not in {None, damaged["expectedSha256"]}
    assert all(one["remedy"] for one in found.values())
    words = run("verify").out
    assert "missing: videos/job_0.mp4 of job job_0" in words
    assert damaged["foundSha256"] in words
    by_size = run("verify", "--no-hashes", "--json")
    assert [one["fault"] for one in by_size.json["findings"]] == ["missing", "orphan"]


def test_pruning_removes_what_the_limits_say(run: Run, data: Path) -> None:
    with FileLock(data / "reelhook.db"):
        said = run("prune", "--dry-run", "--json", REELHOOK_ARCHIVE_KEEP_DAYS="1.5")
        assert [one["jobId"] for one in said.json["removed"]] == ["job_0", "job_1"]
        nobody = run("prune", "--url", "http://127.0.0.1:9", REELHOOK_ARCHIVE_KEEP_DAYS="1.5")
        assert nobody.code != 0
        assert "http://127.0.0.1:9" in nobody.err
    assert len(list((data / "archive").rglob("*.mp4"))) == 3
    assert run("prune", "--json").json["files"] == 0
    assert run("prune").out == "No file is above the limits.\n"
    done = run("prune", "--json", REELHOOK_ARCHIVE_KEEP_DAYS="1.5")
    assert (done.code, done.json["files"], done.json["dryRun"]) == (0, 2, False)
    assert [path.name for path in (data / "archive").rglob("*.mp4")] == ["job_2.mp4"]
    assert [one["jobId"] for one in run("ls", "--state", "removed", "--json").json["files"]] == [
        "job_0",
        "job_1",
    ]


async def test_a_running_server_prunes_what_its_own_limits_say(tmp_path: Path) -> None:
    data, videos = tmp_path / "data", tmp_path / "kept"
    limits: dict[str, Any] = {"archive_url": videos.as_uri(), "archive_max_gib": 1e-9}
    async with gateway(data, AT_ONCE, **limits) as server:
        job_id = await server.submit()

        contents: Any = server.hook.gateway.content
        path = videos / f"videos/{job_id}.mp4"

        async def is_stored() -> bool:
            file = await contents._store.archived_file(job_id)
            return file is not None and file.state is FileState.STORED

        async def is_gone() -> bool:
            return not path.exists()

        await until(is_stored)
        assert path.exists()
        named = ("--data-dir", str(data), "--url", server.url)

        async def pruned() -> Any:
            command = partial(reelhook, directory=tmp_path)
            return (await asyncio.to_thread(command, "archive", "prune", "--json", *named)).json

        done = await pruned()
        assert [one["jobId"] for one in done["removed"]] == [job_id]
        assert "was larger than" in done["removed"][0]["reason"]
        assert (done["files"], done["dryRun"]) == (1, False)
        await until(is_gone)
        link = await server.get(f"/api/sora/videos/{job_id}/download")
        assert link.refusal == (410, "content_removed", None)
        assert (await pruned())["removed"] == []


@pytest.mark.usefixtures("beside_a_server")
def test_an_export_is_readable_without_reelhook_and_goes_on_where_it_stopped(
    run: Run, tmp_path: Path, data: Path
) -> None:
    folder = tmp_path / "videos"
    first = run("export", str(folder), "--json")
    assert (first.code, first.json["written"], first.json["skipped"]) == (0, 3, 0)
    lines = manifest(folder)
    line = lines[0]
    assert line["prompt"] == "Zwei Füchse / im Regen"
    assert line["file"].endswith("_zwei-füchse-im-regen_job_0.mp4")
    assert (line["externalId"], line["metadata"]) == ("order-job_0", {"scene": "5"})
    assert line["cost"] == {"amount": 0.4, "unit": "USD", "charged": False}
    for one in lines:
        body = (folder / one["file"]).read_bytes()
        assert body == video(one["jobId"])
        assert (len(body), sha256(body).hexdigest()) == (one["bytes"], one["sha256"])
    (folder / lines[0]["file"]).write_bytes(b"half of it")
    (folder / lines[1]["file"]).unlink()
    (data / "archive" / "videos" / "job_1.mp4").unlink()
    again = run("export", str(folder), "--json")
    assert (again.code, again.json["written"], again.json["skipped"]) == (1, 1, 1)
    assert list(again.json["failed"]) == ["job_1"]
    assert (folder / lines[0]["file"]).read_bytes() == video("job_0")
    assert [one["jobId"] for one in manifest(folder)] == ["job_0", "job_1", "job_2"]
    assert not list(folder.glob("*.part"))


async def test_no_name_is_too_long_for_a_disk(tmp_path: Path) -> None:
    request = VideoRequest("A fox", title="𠮷" * 100)  # each has 4 bytes
    job = Job("j" * 128, "acme", Status.COMPLETED, NOW, NOW)
    file = ArchivedFile(job.id, "default", "acme", key=f"videos/{job.id}.webm")
    name = name_of(file, StoredJob(job, request, None, None))
    assert name.endswith(f"_{job.id}.webm")
    assert "_𠮷𠮷𠮷" in name
    (tmp_path / f"{name}.part").write_bytes(b"")


def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_without_an_archive_or_a_database_the_command_says_so(run: Run, tmp_path: Path) -> None:
    off = run("verify", REELHOOK_ARCHIVE_URL="off")
    assert off.code == 1
    assert "REELHOOK_ARCHIVE_URL" in off.err
    empty = reelhook("archive", "ls", "--data-dir", "nothing", directory=tmp_path)
    assert empty.code == 1
    assert "nothing" in empty.err
