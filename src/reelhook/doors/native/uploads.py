"""Uploads: files that are sent once, before the requests that use them."""

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request

from reelhook.domain.caller import Scope
from reelhook.domain.event import iso
from reelhook.doors.context import ContextOf
from reelhook.doors.fields import Schema
from reelhook.doors.multipart import read_file
from reelhook.doors.policy import KeyRoute, needs, takes_file

router = APIRouter(tags=["videos"], route_class=KeyRoute)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class UploadResponse(Schema):
    """An upload as it was stored."""

    id: str = Field(description="Its name in requests, as image and the like")
    sha256: str = Field(description="The SHA-256 of its bytes, in hexadecimal")
    content_type: str = Field(description="The type that its first bytes show")
    size: int = Field(description="Bytes")
    width: int | None = Field(description="The pixels of a PNG, JPEG, GIF or WebP; null: not known")
    height: int | None
    kept_until: str = Field(description="It is removed after that, unless a job has it")


@router.post(
    "/api/uploads",
    status_code=201,
    summary="Upload an image, a video or a sound",
    openapi_extra=_BODY,
)
@needs(Scope.SUBMIT)
@takes_file
async def upload(request: Request, context: ContextOf) -> UploadResponse:
    """Keep a file for requests. Its bytes decide its type. The `id` then stands for it, as
    `image`, `lastFrame` and in the lists of references, for a day after its last use.
    """
    stored = await context.gateway.uploads.add(context.caller, await read_file(request))
    width, height = stored.pixels or (None, None)
    return UploadResponse(
        id=stored.id,
        sha256=stored.sha256,
        content_type=stored.content_type,
        size=stored.size,
        width=width,
        height=height,
        kept_until=iso(stored.kept_until),
    )
