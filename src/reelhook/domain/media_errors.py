"""Errors about the images, videos and sounds of requests."""

from reelhook.domain.errors import ReelhookError


class MediaUnavailableError(ReelhookError):
    """A file that a request needs can't be had. Its job ends, and nothing is paid.

    The message says where the file was and what was wrong. `passing`: another try may succeed.
    `ours`: the reason is on this machine, such as a full disk, so the job waits instead.
    """

    code = "image_unavailable"

    def __init__(self, message: str, *, passing: bool = False, ours: bool = False) -> None:
        super().__init__(message)
        self.passing = passing
        self.ours = ours
