"""Advice for an operator about a provider's server, beyond the check of the key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence of advice. If it `costs` money to ignore it, every start logs it too."""

    message: str
    costs: bool = False
