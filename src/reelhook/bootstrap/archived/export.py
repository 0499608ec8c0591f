"""Exports the archive into a folder that a person can use without reelhook."""

import asyncio
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Any

from reelhook.bootstrap.archived.reading import (
    Advance,
    bytes_of_all,
    objects_of,
    project_id_of,
    with_jobs,
)
from reelhook.config import Settings
from reelhook.domain.archive import ArchivedFile
from reelhook.domain.archive_errors import ObjectStoreError
from reelhook.domain.errors import SettingsError
from reelhook.domain.event import iso, maybe_iso
from reelhook.domain.labels import labels_of
from reelhook.ports import Objects, StoredJob

MANIFEST = "manifest.jsonl"
_NOT_READABLE = re.compile(r"[^\w-]+")
TITLE_CHARACTERS = 60
PART = ".part"
NAME_BYTES_MAX = 255 - len(PART)
"""The longest name of most file systems, with the ending of a file that is being written."""


@dataclass(slots=True)
class Exported:
    """The result of an export. `failed` has the reason why a file could not be written."""

    folder: Path
    written: int = 0
    skipped: int = 0
    size: int = 0
    failed: dict[str, str] = field(default_factory=dict)


async def export(
    settings: Settings, folder: Path, advance: Advance, *, project: str | None = None
) -> Exported:
    """Write each archived video and a manifest. What is there and whole is not written again.

    Raises `SettingsError` if the database, the archive or the folder can't be used.
    """
    objects = objects_of(settings)
    project_id = await project_id_of(settings, project)
    result = Exported(folder)
    total, done = await bytes_of_all(settings, project_id), 0
    advance(done, total)

    def written(size: int) -> None:
        advance(done + size, total)

    try:
        await asyncio.to_thread(partial(folder.mkdir, parents=True, exist_ok=True))
        manifest = _known(folder / MANIFEST)
        async for file, stored in with_jobs(settings, project_id):
            name = name_of(file, stored)
            try:
                if await asyncio.to_thread(_is_whole, folder / name, file):
                    result.skipped += 1
                else:
                    await _write(objects, file, folder / name, written)
                    result.written += 1
                manifest[file.job_id] = _line(file, stored, name)
                result.size += file.size or 0
            except ObjectStoreError as error:
                result.failed[file.job_id] = error.message
            done += file.size or 0
            advance(done, total)
        _write_manifest(folder / MANIFEST, manifest)
    except OSError as error:
        raise SettingsError(f"{folder} can't be written: {error.strerror or error}") from None
    return result


def name_of(file: ArchivedFile, stored: StoredJob) -> str:
    """Return the name of a job's file: its day, its title and its id."""
    day = iso(stored.job.created_at)[:10]
    title = _NOT_READABLE.sub("-", stored.request.title or stored.request.prompt)
    ending = f"{file.job_id}.{(file.key or '').rpartition('.')[2]}"
    words = title.strip("-")[:TITLE_CHARACTERS].lower().encode()
    room = NAME_BYTES_MAX - len(f"{day}__{ending}")  # ids and days are ASCII
    readable = words[: max(0, room)].decode(errors="ignore").strip("-")
    return "_".join(filter(None, (day, readable, ending)))


def _is_whole(path: Path, file: ArchivedFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest() == file.sha256


async def _write(
    objects: Objects, file: ArchivedFile, path: Path, written: Callable[[int], None]
) -> None:
    """Write a file under a name of its own first, so that half a file never looks whole.

    Raises `ObjectStoreError` if the object is not the one that was stored.
    """
    part = path.with_name(f"{path.name}{PART}")
    size = 0
    async with objects.open(file.key or "") as found:
        with part.open("wb") as opened:
            async for chunk in found.chunks:
                await asyncio.to_thread(opened.write, chunk)
                size += len(chunk)
                written(size)
    if not await asyncio.to_thread(_is_whole, part, file):
        part.unlink()
        raise ObjectStoreError(objects.name, f"{file.key} is damaged: its hash has changed")
    part.replace(path)


def _known(manifest: Path) -> dict[str, dict[str, Any]]:
    """Return the lines of an earlier export, by job. A line that can't be read is dropped."""
    lines: dict[str, dict[str, Any]] = {}
    if not manifest.is_file():
        return lines
    for text in manifest.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
            lines[line["jobId"]] = line
        except (ValueError, KeyError, TypeError):
            continue
    return lines


def _write_manifest(path: Path, lines: dict[str, dict[str, Any]]) -> None:
    part = path.with_name(f"{path.name}{PART}")
    with part.open("w", encoding="utf-8") as opened:
        for line in lines.values():
            opened.write(json.dumps(line, ensure_ascii=False) + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    part.replace(path)


def _line(file: ArchivedFile, stored: StoredJob, name: str) -> dict[str, Any]:
    job, request, labels = stored.job, stored.request, labels_of(stored.job)
    charged = job.charged_amount is not None
    amount = job.charged_amount if charged else job.estimated_amount
    unit = job.charged_unit if charged else job.estimated_unit
    return {
        "jobId": job.id,
        "file": name,
        "project": job.project,
        "createdAt": iso(job.created_at),
        "storedAt": maybe_iso(file.stored_at),
        "status": job.status.value,
        "title": request.title,
        "prompt": request.prompt,
        "negativePrompt": request.negative_prompt,
        "provider": job.provider,
        "model": job.model,
        "soraJobId": job.provider_job_id,
        "cost": None if amount is None else {"amount": amount, "unit": unit, "charged": charged},
        "externalId": labels.external_id,
        "metadata": dict(labels.metadata),
        "bytes": file.size,
        "sha256": file.sha256,
        "contentType": file.content_type,
        "duration": file.duration,
        "width": file.width,
        "height": file.height,
        "frameRate": file.frame_rate,
        "codec": file.codec,
        "hasAudio": file.has_audio,
    }
