"""Errors about the images, videos and sounds of requests."""

import errno

from reelhook.domain.errors import InvalidRequestError, ReelhookError
from reelhook.domain.problem import Problem

OUR_ERRORS = frozenset(
    {
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS),  # no descriptors, no memory
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS),  # no room on the disk
    }
)
"""The errors of this machine, whatever file is wanted. Others may be those of one address."""


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


class UnknownSourceJobError(InvalidRequestError):
    """A medium of a request is the video of a job that does not exist in its project."""

    code = "job_not_found"

    def __init__(self, field: str) -> None:
        super().__init__(field, Problem.UNKNOWN_JOB)


class JobNotFinishedError(InvalidRequestError):
    """A medium of a request is the video of a job that has none, at least not yet."""

    code = "job_not_finished"

    def __init__(self, field: str, status: str, *, ended: bool) -> None:
        problem = Problem.JOB_WITHOUT_VIDEO if ended else Problem.JOB_NOT_FINISHED
        super().__init__(field, problem, status=status)


class VideoOfJobGoneError(InvalidRequestError):
    """A medium of a request is the video of a job, which neither archive nor provider has."""

    code = MediaUnavailableError.code

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, Problem.VIDEO_OF_JOB_GONE, reason=reason)
