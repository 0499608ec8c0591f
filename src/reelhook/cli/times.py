"""Times on the command line: two hours ago, or a moment with its time zone."""

import re
from datetime import UTC, datetime, timedelta

import typer

_AGO = re.compile(r"(\d{1,6})\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def timestamp(text: str, option: str) -> str:
    """Return a time in the form of the API; `2h` means two hours ago.

    Raises `typer.BadParameter`, which names the option.
    """
    try:
        if match := _AGO.fullmatch(text.strip()):
            ago = timedelta(**{_UNITS[match[2]]: int(match[1])})
            return (datetime.now(UTC) - ago).isoformat()
        time = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        time = None
    if time is None or time.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is not a time; write 2h or 3d, or 2026-11-23T10:00Z with its time zone",
            param_hint=option,
        )
    return time.isoformat()
