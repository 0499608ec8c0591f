"""What a job waits for, as the API tells it: only where there is something to tell."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from reelhook.domain.event import iso
from reelhook.domain.waiting import Waiting


def _is_none(value: object) -> bool:
    return value is None


class WaitingResponse(BaseModel):
    """A job that its provider has not moved on, and why."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    since: str = Field(description="When the first such response came")
    last_response: str = Field(description="The provider's last words, or what happened instead")
    tries: int | None = Field(
        None,
        exclude_if=_is_none,
        description="How often its create was tried at this model; absent once a provider has it",
    )


MaybeWaiting = Annotated[
    WaitingResponse | None,
    Field(exclude_if=_is_none, description="What it waits for; absent where there is nothing"),
]


def maybe_waiting(waiting: Waiting | None) -> WaitingResponse | None:
    """Tell what a job waits for, if anything."""
    return None if waiting is None else waiting_answer(waiting)


def waiting_answer(waiting: Waiting) -> WaitingResponse:
    """Tell what a job waits for."""
    return WaitingResponse(
        since=iso(waiting.since), last_response=waiting.last_response, tries=waiting.tries
    )
