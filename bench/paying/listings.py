"""The kinds of listing that an act plays: honest ones, and ones that alter what they show."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Listing(StrEnum):
    """How the providers' listings are, and whether the accounts keep their credentials."""

    PLAIN = "plain"
    BEHIND = "clock 5 minutes behind"
    AHEAD = "clock 5 minutes ahead"
    SHORTENED = "prompts shortened"
    MASKED = "prompts masked"
    ESCAPED = "prompts escaped"
    NORMALISED = "prompts normalised"
    EXTENDED = "prompts extended"
    HIDDEN = "prompts hidden"
    NEW_KEY = "another key"
    NEW_SERVER = "another base URL"

    @property
    def honest(self) -> bool:
        """Whether no lost create may end unknown."""
        return self in {Listing.PLAIN, Listing.BEHIND, Listing.AHEAD}

    @property
    def moves(self) -> bool:
        """Whether the accounts are changed while creates are lost."""
        return self in {Listing.NEW_KEY, Listing.NEW_SERVER}

    @property
    def faults(self) -> Mapping[str, Any]:
        """Return what the simulator is told; see `reelhook.simulator.faults`."""
        match self:
            case Listing.BEHIND:
                return {"clock_offset_seconds": -300.0}
            case Listing.AHEAD:
                return {"clock_offset_seconds": 300.0}
            case _ if self.value.startswith("prompts "):
                return {"prompts": self.value.removeprefix("prompts ")}
            case _:
                return {}
