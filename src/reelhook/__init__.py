"""reelhook: a self-hosted gateway for AI video jobs.

`async with reelhook.open(reelhook.Settings.load()) as hook:` runs it inside another program.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reelhook.bootstrap import open  # noqa: A004 - read as reelhook.open
    from reelhook.config import Settings
    from reelhook.domain.caller import OPERATOR
    from reelhook.doors.compat.functions import Hook

__version__ = "0.1.0"
__all__ = ["OPERATOR", "Hook", "Settings", "__version__", "open"]

_HOMES = {
    "open": "bootstrap",
    "Settings": "config",
    "Hook": "doors.compat.functions",
    "OPERATOR": "domain.caller",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for, so that a command line that needs none of it starts at once.
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module  # noqa: PLC0415 - as above

    return getattr(import_module(f"reelhook.{_HOMES[name]}"), name)
