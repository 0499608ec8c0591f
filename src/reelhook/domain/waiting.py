"""The reason why a job waits: its provider's last message."""

from dataclasses import dataclass

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class Waiting:
    """The reason why a provider has not moved a job on.

    `since` is the time of the first such response. `last_response` is the provider's last message,
    or a description of the failure if there was no response. `tries` counts the creates at this
    model; None once a provider has the job.
    """

    since: Instant
    last_response: str
    tries: int | None = None


def with_last_response(message: str, last_response: str | None) -> str:
    """Return our message, followed by the provider's last response if there is one."""
    if last_response is None:
        return message
    return f"{message}. The provider's last response: {last_response}"
