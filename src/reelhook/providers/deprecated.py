"""The warning of the modules that provider packages of the previous release import."""

import warnings


def warn_of_move(old: str, new: str) -> None:
    """Warn that a module has moved; the importing line is named."""
    warnings.warn(
        f"{old} has moved to {new}; the old name will be removed in the next release",
        DeprecationWarning,
        stacklevel=3,
    )
