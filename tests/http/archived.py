"""Files of the archive, put there without its loop, so that a test decides what is in it."""

import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateways import Gateway

from reelhook.domain.archive import ArchivedFile
from reelhook.domain.keeping import ExcessFile
from reelhook.objects.store import ObstoreObjects
from reelhook.ports import Objects

VIDEO = bytes(range(256)) * 40
POSTER = b"\xff\xd8\xff\xe0 a small image"
OFF: dict[str, Any] = {"archive_url": "off"}
"""With it, no loop fetches the files of the tests."""


@dataclass
class Archive:
    """The archive of a gateway that runs with `OFF`: `objects` serve the downloads."""

    server: Gateway
    folder: Path
    objects: Objects = field(init=False)

    def __post_init__(self) -> None:
        self.use(ObstoreObjects(self.folder.as_uri()))

    def use(self, objects: Objects) -> None:
        """Serve from these objects, and store files there."""
        self.objects = self._contents._objects = objects

    @property
    def _contents(self) -> Any:
        return self.server.hook.gateway.content

    async def file(self, job_id: str) -> ArchivedFile:
        found = await self._contents._store.archived_file(job_id)
        assert isinstance(found, ArchivedFile)
        return found

    async def finished(self, **fields: Any) -> str:
        job_id = await self.server.submit(**fields)
        await self.server.job_when(job_id, "completed")
        return job_id

    async def record(self, file: ArchivedFile) -> None:
        assert await self._contents._store.record_file(file)

    async def store(
        self, job_id: str, video: bytes = VIDEO, content_type: str = "video/mp4"
    ) -> str:
        """Store a job's file as the archive does; return its hash."""
        key, digest = f"videos/{job_id}.mp4", sha256(video).hexdigest()
        await self.objects.put_bytes(key, video, content_type)
        now = round(time.time() * 1000)
        file = await self.file(job_id)
        await self.record(file.stored(key, len(video), digest, content_type, now))
        return digest

    async def stored(self, video: bytes = VIDEO, **fields: Any) -> str:
        """Return a finished job whose file is stored."""
        job_id = await self.finished(**fields)
        await self.store(job_id, video)
        return job_id

    async def make_poster(self, job_id: str, poster: bytes | None = POSTER) -> None:
        key = f"posters/{job_id}.jpg"
        if poster is not None:
            await self.objects.put_bytes(key, poster, "image/jpeg")
        made = None if poster is None else (key, len(poster))
        await self._contents._store.record_poster(job_id, made, None)

    async def remove(self, *job_ids: str) -> None:
        now = time.time_ns() // 1_000_000
        why = "it was too old"
        files = [ExcessFile(job_id, "default", 0, now, why) for job_id in job_ids]
        await self._contents._store.remove_archived(files, now)

    def break_object(self, job_id: str, content: bytes | None) -> None:
        """Replace the stored object's bytes, or delete it."""
        path = self.folder / f"videos/{job_id}.mp4"
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
