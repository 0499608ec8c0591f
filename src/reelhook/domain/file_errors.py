"""Errors about finished files: those that the archive lost or removed, and posters."""

from reelhook.domain.errors import ContentMissingError, NotFoundError, ReelhookError


class ContentRemovedError(ReelhookError):
    """The file was in the archive, and was removed: by its age, the archive's size, or a person."""

    code = "content_removed"

    def __init__(self, reason: str | None = None) -> None:
        why = reason or "it was too old, or the archive was full"
        super().__init__(f"The video was removed from the archive: {why}")


class NeverArchivedError(ContentMissingError):
    """The provider has deleted the file, and it was not archived before."""

    def __init__(self) -> None:
        super().__init__(
            "The provider no longer has the finished video, and it was not archived in time"
        )


class ArchivedFileUnavailableError(ReelhookError):
    """The archive can't read a file that it stored. The log says why: clients may not know it."""

    code = "archived_file_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The archive can't read this file now, and its provider does not have it either; try "
            "again later, or ask the operator, whose log says why"
        )


class PosterNotFoundError(NotFoundError):
    """There is no poster of this video."""

    code = "poster_not_found"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.message = f"This video has no poster: {reason}"
        self.reason = reason


class PosterNotReadyError(ReelhookError):
    """The poster is still being made."""

    code = "poster_not_ready"
    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__("The poster of this video is still being made; ask again in a few seconds")
