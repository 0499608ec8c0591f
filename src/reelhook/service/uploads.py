"""The use cases of uploads: keep a file, and use it in requests."""

import asyncio
from functools import partial

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.media import FORMATS, File, judged, reference
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_media import kind_of, media_of, with_media
from reelhook.domain.upload import (
    KEPT_MILLISECONDS,
    Upload,
    checked_upload,
    hash_of_upload,
    upload_of,
)
from reelhook.ports import Clock, UploadStore


class Uploads:
    """The uploads of all projects. Those of one project have `bytes_max` together."""

    def __init__(self, store: UploadStore, *, bytes_max: int, clock: Clock) -> None:
        self._store = store
        self._bytes_max = bytes_max
        self._clock = clock

    async def add(self, caller: Caller, body: bytes) -> Upload:
        """Keep a file for a day. Equal bytes are one upload.

        Raises `UploadKindError`, `UploadTooLargeError`, or `UploadsFullError`.
        """
        caller.require(Scope.SUBMIT)
        file, now = checked_upload(body), self._clock.now()
        upload = await asyncio.to_thread(upload_of, file, now)
        await self._store.keep_upload(caller.project, file, now, upload.kept_until, self._bytes_max)
        return upload

    async def placed(
        self, caller: Caller, request: VideoRequest
    ) -> tuple[VideoRequest, tuple[File, ...]]:
        """Return the request with references to the uploads that it names.

        Also return files that are to be stored with it. Raises `InvalidRequestError` for an upload
        that the project does not have, or that is of another kind than its field.
        """
        caller.require(Scope.SUBMIT)
        media = {name: text for name, text in media_of(request) if hash_of_upload(text)}
        if not media:
            return request, ()
        hashes = {text: hash_of_upload(text) or "" for text in media.values()}
        until = self._clock.now() + KEPT_MILLISECONDS
        known = await self._store.hold_uploads(caller.project, list(hashes.values()), until)
        references: dict[str, str] = {}
        others: dict[str, File] = {}
        for name, text in media.items():
            file_hash, kind = hashes[text], kind_of(name)
            if file_hash not in known:
                raise InvalidRequestError(name, Problem.UNKNOWN_UPLOAD)
            if not known[file_hash].startswith(f"{kind}/"):
                file = await self._as(caller.project, file_hash, name)
                file_hash = file.hash
                others[file_hash] = file
            references[name] = reference(file_hash)
        placed = with_media(request, partial(_referred, references))
        return placed, tuple(others.values())

    async def _as(self, project: str, file_hash: str, name: str) -> File:
        """Return an upload with the type that it has as another kind: MP4 may be audio alone."""
        kind = kind_of(name)
        stored = (await self._store.files(project, [file_hash])).get(file_hash)
        file = None if stored is None else judged(stored, kind)
        if file is None:
            formats = FORMATS[kind]
            raise InvalidRequestError(name, Problem.OTHER_BYTES, kind=kind, formats=formats)
        return file


def _referred(references: dict[str, str], name: str, text: str) -> str:
    return references.get(name, text)
