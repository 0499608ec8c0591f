"""A file at a provider, and the things that go wrong with it."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web
from engine_stage import Engine, Stage, stage

from reelhook.domain.archive import ArchivedFile, FileState
from reelhook.objects.store import ObstoreObjects

MIB = 1024 * 1024
LOOPS = frozenset({"watch", "deliver", "archive", "account_status"})


def video(size: int, seed: int = 1) -> bytes:
    """Return bytes that begin like an MP4."""
    head = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
    return head + Random(seed).randbytes(size - len(head))


@dataclass
class SourceFile:
    """Serves one file. `breaks_after`: each response ends after so many bytes, without an end."""

    content: bytes
    etag: str | None = '"1"'
    ranges: bool = True
    lengths: bool = True
    breaks_after: int | None = None
    missing: bool = False
    status: int = 200
    asked: list[str | None] = field(default_factory=list)
    """The `Range` of each request."""

    async def respond(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        if self.missing or self.status >= 400:
            return web.Response(status=404 if self.missing else self.status)
        start = 0
        headers = {"Content-Type": "video/mp4"}
        if self.etag:
            headers["ETag"] = self.etag
        status = 200
        if wanted and self.ranges:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            total = len(self.content)
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        if self.lengths:
            headers["Content-Length"] = str(len(self.content) - start)
        response = web.StreamResponse(status=status, headers=headers)
        if not self.lengths:
            response.force_close()
            request._version = (1, 0)  # type: ignore[assignment] # a setting of the server
        await response.prepare(request)
        end = len(self.content) if self.breaks_after is None else start + self.breaks_after
        await response.write(self.content[start:end])
        if end < len(self.content):
            assert request.transport is not None
            request.transport.close()
        return response


@dataclass
class Archiving:
    """An engine with an archive in a folder, and one provider with one file for all jobs."""

    here: Stage
    engine: Engine
    source: SourceFile
    objects: ObstoreObjects

    async def complete(self, *ids: str) -> None:
        """Let jobs with these ids complete."""
        self.here.upstream.add(*ids, status="completed", progress=100)
        await self.engine.register(ids)

    async def file(self, job_id: str) -> ArchivedFile:
        found = await self.engine.store.archived_file(job_id)
        assert found is not None
        return found

    async def settled_file(self, job_id: str) -> ArchivedFile:
        """Wait until nothing happens any more, and return the file."""
        await self.engine.settled()
        return await self.file(job_id)

    async def stored_bytes(self, job_id: str) -> bytes:
        file = await self.file(job_id)
        assert file.state is FileState.STORED, file
        assert file.key is not None
        async with self.objects.open(file.key) as found:
            read = b"".join([chunk async for chunk in found.chunks])
        assert (len(read), hashlib.sha256(read).hexdigest()) == (file.size, file.sha256)
        return read


@asynccontextmanager
async def archiving(folder: Path, source: SourceFile, **options: Any) -> AsyncIterator[Archiving]:
    """Run an engine with an archive until the block ends."""
    objects = ObstoreObjects((folder / "archive").as_uri())
    async with stage(folder, loops=LOOPS) as here:
        here.upstream.on_content = source.respond
        async with here.engine(objects=options.pop("objects", objects), **options) as engine:
            yield Archiving(here, engine, source, objects)


def spooled(folder: Path) -> list[str]:
    """Return the names of the files in the spool."""
    return sorted(path.name for path in (folder / "spool").glob("*"))
