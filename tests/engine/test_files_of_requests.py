"""Submit sends a request with its files, or sends nothing."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web
from engine_stage import stage, until
from engine_upstream import when

from reelhook.domain.errors import StoreError
from reelhook.domain.job import Status
from reelhook.domain.media import File
from reelhook.engine.submitting import submit
from reelhook.storage.sqlite.driver import SQLite
from reelhook.storage.store import Store

FOX = File("image/png", b"\x89PNG\r\n\x1a\nfox")


class Failing(Store):
    """Can't read files the first two times."""

    failures = 2

    async def files(self, project: str, hashes: Sequence[str]) -> dict[str, File]:
        if self.failures:
            self.failures -= 1
            raise StoreError("disk")
        return await Store.files(self, project, hashes)


async def test_the_provider_gets_the_file_that_the_client_sent(tmp_path: Path) -> None:
    sent: list[bytes] = []

    async def look(request: web.Request) -> web.StreamResponse:
        file = (await request.post())["input_reference"]
        assert isinstance(file, web.FileField)
        sent.append(file.file.read())
        return await here.upstream.take(request)

    async with stage(tmp_path) as here, here.engine() as engine:
        here.upstream.on_create = look
        job_id = await engine.submit("a fox", image=FOX.uri)
        await engine.job_when(job_id, Status.QUEUED)
    assert sent == [FOX.body]
    assert here.query("SELECT image FROM jobs") == [(f"file:{FOX.hash}",)]


async def test_while_its_file_cannot_be_read_nothing_is_sent(tmp_path: Path) -> None:
    def store(database: SQLite) -> Store:
        return Failing(database)

    async with stage(tmp_path, store=store) as here, here.engine() as engine:
        job_id = await engine.submit("a fox", image=FOX.uri)
        await engine.settled()
        job = await engine.job(job_id)
        assert (job.status, here.upstream.creations) == (Status.ACCEPTED, 0)
        assert "disk" in (job.last_response or "")
        await engine.pass_time(10)
        await engine.job_when(job_id, Status.QUEUED)
        assert here.upstream.creations == 1


async def test_without_its_file_no_video_is_paid_for(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        async with here.engine(loops=frozenset()) as engine:
            job_id = await engine.submit("a fox", image=FOX.uri)
        here.query("DELETE FROM job_files")
        here.query("DELETE FROM files")
        async with here.engine() as engine:
            job = await engine.job_when(job_id, Status.FAILED)
            assert job.code == "file_missing"
            assert here.upstream.creations == 0


async def test_waiting_jobs_with_large_files_are_sent_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "BYTES_AT_ONCE", 1000)
    gate = asyncio.Event()
    async with stage(tmp_path, submit_timeout_seconds=60) as here, here.engine() as engine:
        here.upstream.on_create = when(gate, here.upstream.take)
        for number in range(20):
            large = File("image/png", FOX.body + bytes([number]) * 2000)
            await engine.submit("a fox", image=large.uri)
        await until(lambda: here.upstream.creations == 1)
        await asyncio.sleep(0)
        assert here.upstream.creations == 1
        gate.set()
        await engine.settled()
        assert here.upstream.creations == 20
