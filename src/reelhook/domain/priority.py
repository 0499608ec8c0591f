"""The priority of a job among the waiting jobs of its project."""

from enum import IntEnum

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.problem import Problem


class Priority(IntEnum):
    """A priority; the number is stored."""

    LOW = -1
    NORMAL = 0
    HIGH = 1

    @property
    def word(self) -> str:
        """The name that clients use."""
        return self.name.lower()


PRIORITIES = tuple(priority.word for priority in Priority)


def priority_of(word: str) -> Priority:
    """Return the priority of this name. Raises `InvalidRequestError`."""
    for priority in Priority:
        if priority.word == word:
            return priority
    raise InvalidRequestError("priority", Problem.NOT_ONE_OF, allowed=PRIORITIES, value=word)


class PriorityRefusedError(InvalidRequestError):
    """The project's jobs may not have a priority as high as this."""

    problem = "priority_refused"

    def __init__(self, priority: Priority, most: int) -> None:
        allowed = tuple(one.word for one in Priority if one <= most)
        super().__init__(
            "priority",
            f"priority must be one of {', '.join(allowed)} in this project, not {priority.word}",
        )
