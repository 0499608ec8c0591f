"""The look-up, for programs that import it from here."""

from reelhook.guard.resolver import SystemLookUp

__all__ = ["SystemLookUp"]
