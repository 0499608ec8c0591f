"""The ids of videos: those of jobs, in the form that OpenAI's clients expect."""

_OURS = "job_"
_PREFIX = "video_"
_OTHER = "~"
"""Precedes the id of a registered job, which may have any form."""


def video_id(job_id: str) -> str:
    """Return the id of a job's video."""
    if job_id.startswith(_OURS):
        return _PREFIX + job_id.removeprefix(_OURS)
    return _PREFIX + _OTHER + job_id
