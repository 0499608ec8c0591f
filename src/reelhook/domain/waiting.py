"""What a job waits for, as its provider last put it."""

from dataclasses import dataclass

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that its provider has not moved on, and why.

    `since`: when the first such response came. `last_response`: the provider's last words, or what
    happened instead of a response. `tries`: how often its create was tried at this model; None once
    a provider has the job.
    """

    since: Instant
    last_response: str
    tries: int | None = None


def with_words(message: str, words: str | None) -> str:
    """Return a message of ours with what the provider said last, if it said anything."""
    return message if words is None else f"{message}. The provider's last words: {words}"
