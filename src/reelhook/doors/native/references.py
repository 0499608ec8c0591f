"""The numbers of a request's references, as a job shows them."""

from typing import Annotated

from pydantic import Field

from reelhook.doors.fields import Schema, is_absent
from reelhook.gateway import ListedJob


class ReferencesResponse(Schema):
    """The numbers of a request's references."""

    images: int
    videos: int
    audios: int


MaybeReferences = Annotated[
    ReferencesResponse | None,
    Field(exclude_if=is_absent, description="Their numbers; absent if there are none"),
]


def maybe_references(listed: ListedJob) -> ReferencesResponse | None:
    """Return the numbers of a job's references; None if it has none."""
    images, videos = listed.reference_images, listed.reference_videos
    if not (images or videos or listed.reference_audios):
        return None
    return ReferencesResponse(images=images, videos=videos, audios=listed.reference_audios)
