"""Deprecated: moved to `reelhook.providers.http.expiring`."""

from reelhook.providers.deprecated import warn_of_move
from reelhook.providers.http.expiring import ExpiringProvider

__all__ = [
    "ExpiringProvider",
]

warn_of_move(__name__, "reelhook.providers.http.expiring")
