"""Downloads of archived files: what they need of the archive, and what happens without it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from archived import OFF, VIDEO, Archive
from gateways import AT_ONCE, Reply, gateway

from reelhook.domain.archive import ArchivedFile
from reelhook.objects.store import ObstoreObjects
from reelhook.ports import ObjectBytes
from reelhook.service import finished_file
from reelhook.simulator.faults import Faults

DAY_SECONDS = 24 * 3600
PATH = "/api/sora/videos/{}/download"


@asynccontextmanager
async def archive(folder: Path, **overrides: Any) -> AsyncIterator[Archive]:
    async with gateway(folder / "data", AT_ONCE, **OFF, **overrides) as server:
        yield Archive(server, folder / "archive")


async def download(at: Archive, job_id: str, *, method: str = "GET", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await at.server.request(method, PATH.format(job_id), headers=named)


async def test_a_file_outlives_its_provider_s_copy(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.finished()
        before = await download(at, job_id)
        digest = await at.store(job_id)
        at.server.time.advance(DAY_SECONDS)
        at.server.simulator.faults = Faults(server_error=1)
        reply = await download(at, job_id)
        assert (before.status, before.body[4:8]) == (200, b"ftyp")
        assert (reply.status, reply.body) == (200, VIDEO)
        expected = {
            "Content-Type": "video/mp4",
            "Content-Length": str(len(VIDEO)),
            "ETag": f'"{digest}"',
            "Accept-Ranges": "bytes",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox",
            "Content-Disposition": 'inline; filename="A fox.mp4"',
        }
        assert {name: reply.headers.get(name) for name in expected} == expected
        other = await at.server.get(f"/api/download?jobId={job_id}&download=1")
        assert other.body == VIDEO
        assert other.headers["Content-Disposition"] == 'attachment; filename="A fox.mp4"'


async def test_a_file_that_was_given_up_is_served_while_its_provider_has_it(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.finished()
        await at.record((await at.file(job_id)).lost("The file is too large"))
        reply = await download(at, job_id)
        assert (reply.status, reply.body[4:8]) == (200, b"ftyp")
        at.server.time.advance(DAY_SECONDS)
        gone = await download(at, job_id)
        assert gone.refusal == (410, "content_missing", None)
        assert "not archived in time" in gone.json()["error"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_range_is_that_part_of_the_file(tmp_path: Path, method: str) -> None:
    size = len(VIDEO)
    async with archive(tmp_path) as at:
        job_id = await at.stored()
        for asked, first, last in (
            *(("4-7", 4, 7), ("0-", 0, size - 1), ("-9", size - 9, size - 1)),
            *((f"0-{2 * size}", 0, size - 1), (f"-{2 * size}", 0, size - 1)),
        ):
            part = await download(at, job_id, method=method, Range=f"bytes={asked}")
            assert part.status == 206, asked
            assert part.body == (VIDEO[first : last + 1] if method == "GET" else b"")
            assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
            assert part.headers["Content-Length"] == str(last - first + 1)
        several = await download(at, job_id, method=method, Range="bytes=0-1,3-4")
        assert (several.status, several.headers["Content-Length"]) == (200, str(size))


async def test_a_range_after_the_end_is_refused_with_the_size(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.stored()
        for asked in (f"{len(VIDEO)}-", "-0"):
            reply = await download(at, job_id, Range=f"bytes={asked}")
            assert reply.refusal == (416, "range_not_satisfiable", None)
            assert reply.headers["Content-Range"] == f"bytes */{len(VIDEO)}"
            assert reply.json()["error"].endswith(f"it has {len(VIDEO)} bytes")
        assert (await download(at, job_id, method="HEAD", Range="bytes=99999-")).status == 416


async def test_a_client_that_has_the_file_gets_304_even_without_the_object(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.finished()
        tag = f'"{await at.store(job_id)}"'
        at.break_object(job_id, None)
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            for method in ("GET", "HEAD"):
                reply = await download(at, job_id, method=method, If_None_Match=known)
                assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", tag)
        head = await download(at, job_id, method="HEAD", If_None_Match='"other"')
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(VIDEO)))


async def test_if_range_is_the_range_of_this_version_or_the_whole_file(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.finished()
        tag = f'"{await at.store(job_id)}"'
        for if_range, status in ((tag, 206), (f"W/{tag}", 200), ('"other"', 200)):
            reply = await download(at, job_id, Range="bytes=1-3", If_Range=if_range)
            assert (reply.status, reply.body) == (status, VIDEO[1:4] if status == 206 else VIDEO)


@pytest.mark.parametrize("broken", [None, VIDEO[:-1], VIDEO + b"x"], ids=["missing", "cut", "long"])
async def test_an_object_that_is_not_the_stored_one_is_never_served(
    tmp_path: Path, broken: bytes | None
) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.stored()
        at.break_object(job_id, broken)
        reply = await download(at, job_id)
        assert (reply.status, reply.body[4:8]) == (200, b"ftyp")  # the provider still has it
        at.server.time.advance(DAY_SECONDS)
        reply = await download(at, job_id)
        assert reply.refusal == (502, "archived_file_unavailable", None)
        assert str(at.folder) not in reply.json()["error"]
        lines = [one for one in at.server.logs if one["event"] == "archive.file_unreadable"]
        assert [(one["job"], one["object"]) for one in lines] == [
            (job_id, f"videos/{job_id}.mp4")
        ] * 2


async def test_an_archive_that_was_moved_serves_its_files(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.stored()
        shutil.move(at.folder, tmp_path / "elsewhere")
        at.use(ObstoreObjects((tmp_path / "elsewhere").as_uri()))
        assert (await download(at, job_id)).body == VIDEO


async def test_a_store_that_hangs_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(ObstoreObjects):
        @asynccontextmanager
        async def open(
            self, key: str, start: int = 0, end: int | None = None
        ) -> AsyncIterator[ObjectBytes]:
            async with super().open(key, start, end) as found:
                await asyncio.Event().wait()
                yield found

    assert finished_file.OPEN_SECONDS_MAX <= 10
    monkeypatch.setattr(finished_file, "OPEN_SECONDS_MAX", 0.05)
    async with archive(tmp_path) as at:
        job_id = await at.stored()
        at.use(Hanging(at.folder.as_uri()))
        reply = await download(at, job_id)
        assert (reply.status, reply.body[4:8]) == (200, b"ftyp")  # the provider still has it
        [line] = [one for one in at.server.logs if one["event"] == "archive.file_unreadable"]
        assert "did not respond in time" in line["error"]


async def test_an_object_that_ends_early_never_passes_for_a_whole_one(tmp_path: Path) -> None:
    video = VIDEO * 1000  # more than fits into buffers
    async with archive(tmp_path) as at:
        job_id = await at.stored(video)
        async with at.server.session.get(f"{at.server.url}{PATH.format(job_id)}") as response:
            assert response.status == 200
            await response.content.readexactly(1)
            at.break_object(job_id, video[: len(video) // 2])
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_without_its_archive_a_process_serves_the_provider_s_copy(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.stored()
        at._contents._objects = None
        assert (await download(at, job_id)).body[4:8] == b"ftyp"
        at.server.time.advance(DAY_SECONDS)
        reply = await download(at, job_id)
        assert reply.refusal == (502, "archived_file_unavailable", None)


async def test_a_file_that_was_lost_or_removed_is_gone_with_the_reason(tmp_path: Path) -> None:
    def lost(file: ArchivedFile) -> ArchivedFile:
        return replace(file, missing_since=1).lost("HTTP 404")

    async with archive(tmp_path) as at:
        one, other = await at.finished(), await at.stored()
        await at.record(lost(await at.file(one)))
        await at.remove(other)
        gone = await download(at, one)
        assert gone.refusal == (410, "content_missing", None)
        assert "it was not archived in time" in gone.json()["error"]
        removed = await download(at, other)
        assert removed.refusal == (410, "content_removed", None)
        assert removed.json()["error"].startswith("The video was removed from the archive: ")


async def test_no_stored_type_is_one_that_a_browser_runs(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.finished()
        await at.store(job_id, content_type="text/html")
        assert (await download(at, job_id)).headers["Content-Type"] == "application/octet-stream"


async def test_another_project_s_file_does_not_exist(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        job_id = await at.stored()
        made = await at.server.post("/api/projects", json={"name": "other"})
        key = {"name": "reader", "scopes": ["read"], "project": made.json()["id"]}
        text = (await at.server.post("/api/keys", json=key)).json()["key"]
        reply = await download(at, job_id, Authorization=f"Bearer {text}")
        assert reply.refusal == (404, "job_not_found", None)
