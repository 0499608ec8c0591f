"""The warning of moved modules, which provider packages of the previous release import."""

import warnings


def warn_of_move(old: str, new: str) -> None:
    """Warn that a module has moved, and name the line that imports it."""
    warnings.warn(
        f"{old} has moved to {new}; the old name will be removed in the next release",
        DeprecationWarning,
        stacklevel=3,
    )
