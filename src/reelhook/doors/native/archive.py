"""The archive: remove what its limits no longer allow."""

from fastapi import APIRouter
from pydantic import Field

from reelhook.domain.caller import Scope
from reelhook.domain.event import iso
from reelhook.domain.keeping import ExcessFile
from reelhook.doors.context import ContextOf
from reelhook.doors.fields import Schema
from reelhook.doors.policy import KeyRoute, needs

router = APIRouter(prefix="/api/archive", tags=["operations"], route_class=KeyRoute)


class RemovedFileResponse(Schema):
    """A file that was removed."""

    job_id: str
    project: str
    bytes: int = Field(description="Of the video and its poster")
    stored_at: str
    reason: str


class PruneResponse(Schema):
    """The result of one batch."""

    removed: list[RemovedFileResponse]
    more: bool = Field(description="true: repeat the call")


@router.post("/prune", summary="Remove what the archive's limits no longer allow")
@needs(Scope.OPERATOR)
async def prune(context: ContextOf) -> PruneResponse:
    """Remove the next files that are too old, or the oldest above the largest size. The server does
    so once an hour; this does it now. Their objects are deleted soon after.
    """
    files, more = await context.gateway.pruning.prune(context.caller)
    return PruneResponse(removed=[removed_response(file) for file in files], more=more)


def removed_response(file: ExcessFile) -> RemovedFileResponse:
    """Return a file that was, or would be, removed, as a response shows it."""
    return RemovedFileResponse(
        job_id=file.job_id,
        project=file.project,
        bytes=file.size,
        stored_at=iso(file.stored_at),
        reason=file.reason,
    )
