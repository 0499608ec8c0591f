"""Deprecated: moved to `reelhook.telemetry.lines`."""

from reelhook.providers.deprecated import warn_of_move
from reelhook.telemetry.lines import configure

__all__ = ["configure"]

warn_of_move(__name__, "reelhook.telemetry.lines")
