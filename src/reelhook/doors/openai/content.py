"""The file of a video, by OpenAI's route."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from reelhook.domain.caller import Scope
from reelhook.domain.errors import NotFoundError
from reelhook.domain.file_errors import PosterNotFoundError
from reelhook.doors.context import ContextOf
from reelhook.doors.file_stream import FILE_RESPONSES, WantedFile, stream
from reelhook.doors.openai.ids import job_id_of
from reelhook.doors.openai.openapi import ERRORS
from reelhook.doors.policy import KeyRoute, needs

router = APIRouter(
    prefix="/v1/videos", tags=["OpenAI's API"], route_class=KeyRoute, responses=ERRORS
)
Variant = Annotated[
    Literal["video", "thumbnail", "spritesheet"],
    Query(description="The thumbnail is the video's poster, if it has one; no spritesheet exists"),
]


class VariantNotFoundError(NotFoundError):
    """A video has no such variant. Providers are asked for none."""

    code = "variant_not_found"

    def __init__(self, variant: str, reason: str) -> None:
        super().__init__(variant)
        self.message = f"This video has no {variant}: {reason}; leave variant out for the video"


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
    wanted: WantedFile,
    variant: Variant = "video",
) -> Response:
    """Return the finished file, or the range of it that is asked for; 404 before it is finished."""
    job_id, files = job_id_of(video_id), context.gateway.content
    if variant == "spritesheet":
        await context.gateway.jobs.job(context.caller, job_id)
        raise VariantNotFoundError(variant, "none is made")
    if variant == "thumbnail":
        try:
            poster = await files.poster(context.caller, job_id)
        except PosterNotFoundError as error:
            raise VariantNotFoundError(variant, error.reason) from None
        return await stream(context, poster, wanted)
    await context.gateway.client_calls.used(context.caller, job_id)
    return await stream(context, await files.video(context.caller, job_id), wanted)
