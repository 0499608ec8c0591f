"""Port for the calls of client libraries that repeat them without a key, and their values."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from reelhook.domain.client_call import ClientCall
from reelhook.domain.event import Instant

_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class ClientTry:
    """One try of a client's call, at one time.

    `holder` is the client: a project, and the key that was used. `call_id` is the id of the call if
    this try begins one. `process` is the process that responds, if others use the database too.
    Unless it `waits`, it takes a call whose response is fresh.
    """

    holder: str
    call: ClientCall
    call_id: str
    at: Instant
    process: str | None = None
    waits: bool = True
    hash: str = field(init=False)
    """The hash that equal calls of one client share."""

    def __post_init__(self) -> None:
        """Compute the hash once, since each statement needs it."""
        text = "\n".join((self.holder, self.call.route, self.call.fingerprint))
        object.__setattr__(self, "hash", sha256(text.encode()).hexdigest()[:_CHARACTERS])


class ClientCallStore(Protocol):
    """Remembers which tries of clients' calls were answered, and with which job.

    `JobStore.create` finds the call that a try belongs to.
    """

    async def join(self, one: ClientTry) -> str | None:
        """Give a try the job of its call, and return its id; None if the call has no job yet.

        Raises `CallNotSettledError`, or `JobDeletedError`.
        """
        ...

    async def is_repeated(self, one: ClientTry) -> bool:
        """Return True if the try belongs to a call that has a job already."""
        ...

    async def unused_call(self, holder: str, job_id: str) -> str | None:
        """Return the hash of the call that got this job, if its client has not used the job yet.

        None for a call without a count.
        """
        ...

    async def use_job(self, call_hash: str, job_id: str) -> None:
        """Record that the client has its job, so no later try belongs to that call."""
        ...

    async def lose_response(self, one: ClientTry, job_id: str) -> None:
        """Record that the response to a try could not be written, unless a later try got one."""
        ...

    async def refuse_call(self, one: ClientTry) -> None:
        """Record that a try was refused, so that the client's next try gets the job of its call."""
        ...
