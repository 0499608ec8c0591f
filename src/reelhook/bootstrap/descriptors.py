"""How many files this process may have open, and how many of them are connections of clients."""

import contextlib
import resource

from reelhook.config import Settings
from reelhook.domain.errors import SettingsError

RESERVE = 1536
"""Kept for the engine: reads and creates at providers, deliveries, look-ups, the database."""
CONNECTIONS_MAX = 20_000
"""Where descriptors allow more and no setting says otherwise: memory is bounded too."""
_RAISED_MAX = 1_048_576
"""Where the hard limit is infinite, as on macOS, the system refuses an infinite soft one."""


def raise_soft_limit() -> None:
    """Raise the soft limit of open files to the hard one, as far as the system lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _RAISED_MAX if hard == resource.RLIM_INFINITY else hard
    if files_max() < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def files_max() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _RAISED_MAX if soft == resource.RLIM_INFINITY else soft


def connections_max(settings: Settings, files_max: int) -> int:
    """Return how many clients may be connected at once, where so many files may be open.

    Raises `SettingsError` where the setting leaves too few descriptors for the engine.
    """
    allowed = files_max - min(RESERVE, files_max // 2)
    wanted = settings.connections_max
    if wanted is None:
        return min(allowed, CONNECTIONS_MAX)
    if wanted > allowed:
        raise SettingsError(
            f"REELHOOK_CONNECTIONS_MAX is {wanted}, but this process may have {files_max} files "
            f"open, which leaves {allowed} for connections; lower it, or raise the limit of open "
            "files (ulimit -n, LimitNOFILE)"
        )
    return wanted
