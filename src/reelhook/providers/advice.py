"""What a provider's adapter tells an operator beyond whether the key works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence. `costs`: it is about money, so that every start says it too."""

    message: str
    costs: bool = False


@dataclass(frozen=True, slots=True)
class ServedModels:
    """The models that a server says it has; `ignored`: it renders with its own, whatever is named.

    `title` is what its vendor calls the server, empty where that is not known.
    """

    names: tuple[str, ...]
    ignored: bool = False
    title: str = ""
