"""Deprecated: moved to `reelhook.providers.http.download`."""

from reelhook.providers.deprecated import warn_of_move
from reelhook.providers.http.download import Source, download

__all__ = [
    "Source",
    "download",
]

warn_of_move(__name__, "reelhook.providers.http.download")
