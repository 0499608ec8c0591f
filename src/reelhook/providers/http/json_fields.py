"""Reading values of providers' JSON: any value may have any type, and nothing here raises.

Usual values are checked first: a round over 100,000 jobs reads 100,000 of each.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from yarl import URL

from reelhook.domain.event import Instant
from reelhook.domain.report import Unknown
from reelhook.guard.target import SIGNED_URL_CHARACTERS_MAX

Fields = Mapping[str, object]
"""A JSON object."""
ID_CHARACTERS_MAX = 255
STATUS_CHARACTERS_MAX = 100
NUMBER_MAX = 1e15
"""Far above any price or count, so that sums of them are finite too."""
UNIX_SECONDS_MAX = 1e11
"""The year 5138: a larger number is not a time in seconds."""
_USUAL_SECONDS = frozenset({"4", "5", "6", "8", "10", "12"})


def readable_id(value: object) -> str | None:
    """Return a job's id: 1 to 255 printable characters, or a whole number; else None.

    Ids are documented as strings, but some gateways number their jobs. The id of a paid job must
    not be lost because of its type.
    """
    if not isinstance(value, str):
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
            return str(value)
        return None
    if not 1 <= len(value) <= ID_CHARACTERS_MAX:
        return None
    if not value.isprintable() or not value.strip() or value in {".", ".."}:
        return None
    return value


def is_segment(text: str) -> bool:
    """Return True if every server reads a text as one path segment, even if it decodes `%2F`."""
    return readable_id(text) is not None and "/" not in text and "\\" not in text


def unknown(status: object) -> Unknown | None:
    """Return a status that reelhook does not know, in a form safe to show; None without one."""
    if not isinstance(status, str) or not status.strip():
        return None
    return Unknown(encodable(status.strip()[:STATUS_CHARACTERS_MAX]))


def text(value: object) -> str | None:
    """Return a text; None for an empty one, since some servers send that for a missing value."""
    return value if isinstance(value, str) and value else None


def encodable(string: str) -> str:
    """Return the text with lone surrogates replaced: no request and no database can carry them."""
    return string.encode(errors="replace").decode()


def number(value: object) -> float | None:
    """Return a number, given as a number or a text; None above `NUMBER_MAX`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if abs(read) <= NUMBER_MAX else None


def percent(value: object) -> int | None:
    """Return a percentage from 0 to 100."""
    if type(value) is int and 0 <= value <= 100:
        return value
    read = number(value)
    return None if read is None else int(min(max(read, 0), 100))


def seconds(value: object) -> str | None:
    """Return a duration as requests write it: `5`, not `5.0`; None for zero or less."""
    if type(value) is str and value in _USUAL_SECONDS:
        return value
    read = number(value)
    if read is None:
        return text(value)
    if read <= 0:
        return None
    return str(int(read)) if read.is_integer() else str(read)


def unix_seconds(value: object) -> float | None:
    """Return Unix seconds, given as a number; some servers send fractions."""
    if type(value) is int and 0 < value < UNIX_SECONDS_MAX:
        return value
    read = number(value)
    return read if read is not None and 0 < read < UNIX_SECONDS_MAX else None


def unix_seconds_of_iso(value: object) -> float | None:
    """Return the Unix seconds of a time in ISO 8601; without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        return unix_seconds((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def milliseconds(seconds: float | None) -> Instant | None:
    """Return the instant of a time in Unix seconds."""
    return None if seconds is None else round(seconds * 1000)


def absent(value: object) -> bool:
    """Return True if a value is missing or empty. A value of a wrong type is neither."""
    return value is None or value in ("", [], {})


def web_address(value: object) -> str | None:
    """Return the value if it is an absolute http or https URL, else None."""
    return value if isinstance(value, str) and _is_web_address(value) else None


def _is_web_address(address: str) -> bool:
    if len(address) > SIGNED_URL_CHARACTERS_MAX or not address.isprintable():
        return False
    try:
        url = URL(address)
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.host)
