"""The reason why a job waits, in its provider's last words."""

from dataclasses import dataclass

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class Waiting:
    """The reason why a provider has not moved a job on.

    `since` is the time of the first such response. `last_response` is the provider's last message,
    or what happened instead of a response. `tries` counts the creates at this model; None once a
    provider has the job.
    """

    since: Instant
    last_response: str
    tries: int | None = None


def with_last_response(message: str, last_response: str | None) -> str:
    """Return a message of ours with the provider's last message, if there is one."""
    if last_response is None:
        return message
    return f"{message}. The provider's last response: {last_response}"
