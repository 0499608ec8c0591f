"""Advice for an operator about a provider's server, in addition to the check of the key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence of advice. If ignoring it `costs` money, every start logs it too."""

    message: str
    costs: bool = False
