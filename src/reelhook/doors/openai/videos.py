"""Videos: read one, list them, delete one."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError, JobNotFoundError
from reelhook.doors.context import ContextOf
from reelhook.doors.openai.ids import job_id_of
from reelhook.doors.openai.openapi import ERRORS, VIDEO_RESPONSE
from reelhook.doors.openai.response import video_response
from reelhook.doors.openai.schemas import DeletedVideo, Video, VideoPage, listed_video, video_of
from reelhook.doors.policy import KeyRoute, needs
from reelhook.gateway import JobFilter

router = APIRouter(
    prefix="/v1/videos", tags=["OpenAI's API"], route_class=KeyRoute, responses=ERRORS
)


@router.get("", summary="List videos")
@needs(Scope.READ)
async def list_videos(
    context: ContextOf,
    after: Annotated[str | None, Query(description="The id of the last video so far")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Annotated[Literal["asc", "desc"], Query(description="By time of creation")] = "desc",
) -> VideoPage:
    """Return a page of the project's jobs, whichever door created them."""
    wanted = JobFilter(oldest_first=order == "asc")
    page = await context.gateway.jobs.jobs(context.caller, wanted, limit, _cursor(after))
    name_of = partial(context.gateway.models.name_of, context.caller)
    videos = [listed_video(listed, name_of(listed.job)) for listed in page.jobs]
    return VideoPage(
        data=videos,
        first_id=videos[0].id if videos else None,
        last_id=videos[-1].id if videos else None,
        has_more=page.next_cursor is not None,
    )


@router.get(
    "/{video_id}",
    response_model=Video,
    responses=VIDEO_RESPONSE,
    summary="Read a video's status",
)
@needs(Scope.READ)
async def retrieve(video_id: str, context: ContextOf) -> JSONResponse:
    """Return a video's status. A canceled video has failed, with the code `canceled`."""
    job_id = job_id_of(video_id)
    stored = await context.gateway.jobs.job(context.caller, job_id)
    await context.gateway.client_calls.used(context.caller, job_id)
    source = await context.gateway.remixes.source(context.caller, stored)
    model = context.gateway.models.name_of(context.caller, stored.job)
    return video_response(context, video_of(stored, model, source))


def _cursor(after: str | None) -> str | None:
    try:
        return None if after is None else job_id_of(after)
    except JobNotFoundError:
        raise InvalidRequestError("after", "after must be the id of a listed video") from None


@router.delete("/{video_id}", summary="Delete a video")
@needs(Scope.SUBMIT)
async def delete(video_id: str, context: ContextOf) -> DeletedVideo:
    """Delete the request, its files and its links. A video that runs is canceled first.

    400 if its provider can't cancel it.
    """
    job_id = job_id_of(video_id)
    await context.gateway.client_calls.used(context.caller, job_id)
    await context.gateway.jobs.delete(context.caller, job_id)
    return DeletedVideo(id=video_id)
