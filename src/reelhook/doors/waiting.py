"""The reason why a job waits, as responses show it: absent if there is none."""

from typing import Annotated, Any

from pydantic import Field

from reelhook.domain.event import iso
from reelhook.domain.waiting import Waiting
from reelhook.doors.fields import Schema, is_absent


class WaitingResponse(Schema):
    """The reason why a job makes no progress at its provider."""

    since: str = Field(description="The time of the first such response")
    last_response: str = Field(description="The provider's last message, or the error instead")
    tries: int | None = Field(
        None,
        exclude_if=is_absent,
        description="How often its create was tried at this model; absent once a provider has it",
    )


MaybeWaiting = Annotated[
    WaitingResponse | None,
    Field(exclude_if=is_absent, description="The reason why it waits; absent if none"),
]


def maybe_waiting(waiting: Waiting | None) -> WaitingResponse | None:
    """Return the reason why a job waits, if there is one."""
    return None if waiting is None else WaitingResponse(**waiting_fields(waiting))


def waiting_fields(waiting: Waiting) -> dict[str, Any]:
    """Return the fields of a `WaitingResponse`."""
    return {
        "since": iso(waiting.since),
        "last_response": waiting.last_response,
        "tries": waiting.tries,
    }
