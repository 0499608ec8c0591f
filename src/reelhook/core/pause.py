"""The pause of watching, shared by the loops of one process."""

from dataclasses import dataclass


@dataclass(slots=True)
class WatchingPause:
    """This process's copy of the pause. `active` is the last value read from the store."""

    active: bool = False
