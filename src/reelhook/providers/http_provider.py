"""Deprecated: moved to `reelhook.providers.http.provider`."""

from reelhook.providers.deprecated import warn_of_move
from reelhook.providers.http.json_fields import Fields
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.http.submit_outcome import outcome

__all__ = [
    "Fields",
    "HttpProvider",
    "outcome",
]

warn_of_move(__name__, "reelhook.providers.http.provider")
