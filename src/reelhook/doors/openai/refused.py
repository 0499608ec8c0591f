"""OpenAI's routes that are not offered here. Each says what to use instead."""

from typing import Any, NoReturn

from fastapi import APIRouter

from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.doors.openai.openapi import ANY_BODY, ERRORS
from reelhook.doors.policy import KeyRoute, carries_files, needs

router = APIRouter(
    prefix="/v1/videos", tags=["OpenAI's API"], route_class=KeyRoute, responses=ERRORS
)
_REFUSED: dict[str, Any] = {"status_code": 400, "response_model": None}
_MODELS = "GET /api/models lists the models that take them"


class NotOfferedError(InvalidRequestError):
    """A route of OpenAI's has no counterpart here."""

    code = "not_offered"


@router.post("/edits", **_REFUSED, openapi_extra=ANY_BODY, summary="Not offered: edit a video")
@needs(Scope.SUBMIT)
@carries_files
async def edit() -> NoReturn:
    """Refuse with 400: no provider here edits a video by this route."""
    raise NotOfferedError(
        "video",
        "reelhook does not edit videos; create one with the video's URL in reference_videos and "
        f"the change as prompt. {_MODELS}",
    )


@router.post(
    "/extensions", **_REFUSED, openapi_extra=ANY_BODY, summary="Not offered: extend a video"
)
@needs(Scope.SUBMIT)
@carries_files
async def extend() -> NoReturn:
    """Refuse with 400: no provider here extends a video by this route."""
    raise NotOfferedError(
        "video",
        "reelhook does not extend videos; create one with the last image of the video as "
        f"input_reference, or with its URL in reference_videos. {_MODELS}",
    )


@router.post("/characters", **_REFUSED, openapi_extra=ANY_BODY, summary="Not offered: a character")
@needs(Scope.SUBMIT)
@carries_files
async def create_character() -> NoReturn:
    """Refuse with 400: characters exist at OpenAI only."""
    raise _no_characters("video")


@router.get(
    "/characters/{character_id}",
    status_code=400,
    response_model=None,
    summary="Not offered: a character",
)
@needs(Scope.READ)
async def read_character(character_id: str) -> NoReturn:
    """Refuse with 400: characters exist at OpenAI only."""
    raise _no_characters("character_id")


def _no_characters(field: str) -> NotOfferedError:
    return NotOfferedError(
        field,
        "reelhook has no characters; show the character in reference_images of each video. "
        f"{_MODELS}",
    )
