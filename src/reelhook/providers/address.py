"""Deprecated: moved to `reelhook.providers.http.address`."""

from reelhook.providers.deprecated import warn_of_move
from reelhook.providers.http.address import authorization_header as shown
from reelhook.providers.http.address import base_url, bearer, key_header, segment

__all__ = [
    "base_url",
    "bearer",
    "key_header",
    "segment",
    "shown",
]

warn_of_move(__name__, "reelhook.providers.http.address")
