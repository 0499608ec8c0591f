"""What a provider's adapter tells an operator beyond whether the key works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence. `costs`: it is about money, so that every start says it too."""

    message: str
    costs: bool = False
