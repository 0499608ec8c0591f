"""Stores a new job after its files, which are written by themselves."""

import contextlib
from collections.abc import Awaitable, Callable, Collection

from reelhook.domain.errors import (
    DATABASE_FAILURES,
    CommitUnknownError,
    InvalidRequestError,
    ReelhookError,
    StoreError,
)
from reelhook.domain.media import hash_in
from reelhook.domain.problem import Problem
from reelhook.domain.request_media import media_of, stored_files
from reelhook.ports import Created, NewJob
from reelhook.storage.operations.files import FilesGoneError

TRIES = 5


async def create_with_files(
    new: NewJob,
    create: Callable[[NewJob], Awaitable[Created]],
    keep: Callable[..., Awaitable[None]],
    remove_unused: Callable[..., Awaitable[int]],
) -> Created:
    """Store the files of a job, then the job. Raises like `JobWrites.create`.

    If the job is refused, its files are removed, unless other jobs have them. Raises
    `InvalidRequestError` if a file that did not come with the job, an upload, is gone.
    """
    project, own = new.job.project, {file.hash for file in new.files}
    for _ in range(TRIES):
        try:
            await keep(project, new.files, new.job.created_at)
        except CommitUnknownError as error:  # the job was not written in any case
            raise StoreError("The database did not say if it has stored a file") from error
        try:
            return await _created(new, create, own)
        except FilesGoneError:
            continue  # no job had them yet, and they were just removed with another one's request
        except DATABASE_FAILURES:
            raise
        except ReelhookError:
            with contextlib.suppress(*DATABASE_FAILURES):
                await remove_unused(project, stored_files(new.request), new.job.created_at)
            raise
    raise StoreError("The files of a new job were removed while it was stored")


async def _created(
    new: NewJob, create: Callable[[NewJob], Awaitable[Created]], own: Collection[str]
) -> Created:
    try:
        return await create(new)
    except FilesGoneError as error:
        for name, text in media_of(new.request):
            if hash_in(text) in error.hashes - set(own):
                raise InvalidRequestError(name, Problem.UNKNOWN_UPLOAD) from None
        raise
