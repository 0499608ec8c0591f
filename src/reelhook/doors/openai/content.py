"""The file of a video, by OpenAI's route."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from reelhook.domain.caller import Scope
from reelhook.domain.errors import NotFoundError
from reelhook.doors.context import ContextOf
from reelhook.doors.file_stream import ByteRange, IfRange, stream_video
from reelhook.doors.openai.ids import job_id_of
from reelhook.doors.openai.openapi import ERRORS, FILE_RESPONSES
from reelhook.doors.policy import KeyRoute, needs

router = APIRouter(
    prefix="/v1/videos", tags=["OpenAI's API"], route_class=KeyRoute, responses=ERRORS
)
Variant = Annotated[
    Literal["video", "thumbnail", "spritesheet"],
    Query(description="Only videos have files here; for the others the response is 404"),
]


class VariantNotFoundError(NotFoundError):
    """A video has no such variant. The same for every provider: none of them is asked for one."""

    code = "variant_not_found"

    def __init__(self, variant: str) -> None:
        super().__init__(variant)
        self.message = (
            f"This video has no {variant}: providers make only the video; leave variant out"
        )


@router.head("/{video_id}/content", include_in_schema=False)
@router.get(
    "/{video_id}/content",
    response_class=StreamingResponse,
    responses=FILE_RESPONSES,
    summary="Download a finished video",
)
@needs(Scope.READ)
async def content(
    video_id: str,
    context: ContextOf,
    variant: Variant = "video",
    byte_range: ByteRange = None,
    if_range: IfRange = None,
) -> StreamingResponse:
    """Return the finished file, or the range of it that is asked for; 404 before it is finished."""
    job_id = job_id_of(video_id)
    if variant != "video":
        await context.gateway.jobs.job(context.caller, job_id)
        raise VariantNotFoundError(variant)
    await context.gateway.client_calls.used(context.caller, job_id)
    return await stream_video(context, job_id, byte_range, if_range)
