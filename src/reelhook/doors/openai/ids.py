"""The ids of videos: `video_` and then a job's id without its `job_`."""

from reelhook.domain.errors import JobNotFoundError

_PREFIX, _JOB_PREFIX = "video_", "job_"
_WHOLE = "~"
"""Precedes the whole id of a job whose id a client chose. No job's id has this character."""


def video_id(job_id: str) -> str:
    """Return the id of a job's video."""
    if job_id.startswith(_JOB_PREFIX):
        return _PREFIX + job_id.removeprefix(_JOB_PREFIX)
    return _PREFIX + _WHOLE + job_id


def job_id_of(video_id: str) -> str:
    """Return the id of a video's job. Raises `JobNotFoundError` for a text that is no such id."""
    prefix, found, rest = video_id.partition(_PREFIX)
    if prefix or not found:
        raise JobNotFoundError(video_id)
    if not rest.startswith(_WHOLE):
        return _JOB_PREFIX + rest
    job_id = rest.removeprefix(_WHOLE)
    if job_id.startswith(_JOB_PREFIX):  # each video has one id
        raise JobNotFoundError(video_id)
    return job_id
