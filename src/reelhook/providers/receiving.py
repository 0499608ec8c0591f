"""Deprecated: moved to `reelhook.providers.http.response_memory`."""

from reelhook.providers.deprecated import warn_of_move
from reelhook.providers.http.response_memory import PAGE_BYTES_MAX, RESPONSE_BYTES_MAX
from reelhook.providers.http.response_memory import ResponseMemory as Room

__all__ = [
    "PAGE_BYTES_MAX",
    "RESPONSE_BYTES_MAX",
    "Room",
]

warn_of_move(__name__, "reelhook.providers.http.response_memory")
