"""Workers, as the operator sees them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerLeases:
    """A worker, and the ids of the leases that it holds. `worker` None: those that nobody holds.

    `alive`: it has sent a heartbeat lately.
    """

    worker: str | None
    alive: bool
    leases: tuple[str, ...]
