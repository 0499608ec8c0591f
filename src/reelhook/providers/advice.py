"""Deprecated: moved to `reelhook.providers.http.advice`."""

from reelhook.providers.deprecated import warn_of_move
from reelhook.providers.http.advice import Advice

__all__ = [
    "Advice",
]

warn_of_move(__name__, "reelhook.providers.http.advice")
