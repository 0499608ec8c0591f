"""The pause of watching, shared by the loops of one process."""

from dataclasses import dataclass


@dataclass(slots=True)
class WatchingPause:
    """This process's copy of the pause: `active` is what the store said last."""

    active: bool = False
