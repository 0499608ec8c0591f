"""Limits of open files, and how many of them client connections may use."""

import contextlib
import resource

from reelhook.config import Settings
from reelhook.domain.errors import SettingsError

RESERVE = 1536
"""Descriptors kept for the engine: provider calls, deliveries, name look-ups, the database."""
CONNECTIONS_MAX = 20_000
"""The default limit if descriptors would allow more: connections use memory too."""
_RAISED_MAX = 1_048_576
"""The soft limit to set if the hard limit is infinite: macOS refuses an infinite soft limit."""


def raise_soft_limit() -> None:
    """Raise the soft limit of open files to the hard one, as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _RAISED_MAX if hard == resource.RLIM_INFINITY else hard
    if files_max() < limit:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def files_max() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _RAISED_MAX if soft == resource.RLIM_INFINITY else soft


def connections_max(settings: Settings, files_max: int) -> int:
    """Return how many clients may be connected at once with this limit of open files.

    Raises `SettingsError` if the setting leaves too few descriptors for the engine.
    """
    allowed = files_max - min(RESERVE, files_max // 2)
    limit = settings.connections_max
    if limit is None:
        return min(allowed, CONNECTIONS_MAX)
    if limit > allowed:
        raise SettingsError(
            f"REELHOOK_CONNECTIONS_MAX is {limit}, but this process may open only {files_max} "
            f"files, which leaves {allowed} for connections; lower it, or raise the limit of open "
            "files (ulimit -n, LimitNOFILE)"
        )
    return limit
