"""Deprecated: moved to `reelhook.providers.http.error_mapping`."""

from reelhook.providers.deprecated import warn_of_move
from reelhook.providers.http.error_mapping import NO_REASON, not_understood
from reelhook.providers.http.error_mapping import error_message as words
from reelhook.providers.http.error_mapping import failure_from as failed
from reelhook.providers.http.error_mapping import read_error as unread
from reelhook.providers.http.error_mapping import refusal_from as refused

__all__ = [
    "NO_REASON",
    "failed",
    "not_understood",
    "refused",
    "unread",
    "words",
]

warn_of_move(__name__, "reelhook.providers.http.error_mapping")
