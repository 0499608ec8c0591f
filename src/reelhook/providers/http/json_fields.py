"""Reading what providers' JSON holds: any type may stand anywhere, and nothing here raises.

What is usual comes first: a round over 100,000 jobs reads as many of each.
"""

from datetime import UTC, datetime

from yarl import URL

from reelhook.domain.event import Instant
from reelhook.domain.report import Unknown
from reelhook.guard.target import SIGNED_URL_CHARACTERS_MAX

ID_CHARACTERS_MAX = 255
STATUS_CHARACTERS_MAX = 100
NUMBER_MAX = 1e15
"""Far more than any price or count, so that sums of them stay numbers too."""
UNIX_SECONDS_MAX = 1e11
"""The year 5138: a larger number is no moment in seconds."""
_USUAL_SECONDS = frozenset({"4", "5", "6", "8", "10", "12"})


def readable_id(value: object) -> str | None:
    """Return a job's id: 1 to 255 printable characters, or a whole number; else None.

    The wires' ids are strings. A gateway that numbers its jobs means the same thing: the id of a
    job that is paid for is not thrown away for its type.
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
    """Whether a text is one segment of a path for every server, however it takes `%2F`."""
    return readable_id(text) is not None and "/" not in text and "\\" not in text


def unknown(status: object) -> Unknown | None:
    """Return a status that we don't know, fit to be shown; None where there is none."""
    if not isinstance(status, str) or not status.strip():
        return None
    return Unknown(encodable(status.strip()[:STATUS_CHARACTERS_MAX]))


def text(value: object) -> str | None:
    """Return a text that is shown; an empty one is how some servers leave it out."""
    return value if isinstance(value, str) and value else None


def encodable(given: str) -> str:
    """Replace lone surrogates, which no request and no store can carry."""
    return given.encode(errors="replace").decode()


def number(value: object) -> float | None:
    """Return a number, given as one or as a text; None for what is beyond all that is counted."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if abs(read) <= NUMBER_MAX else None


def percent(value: object) -> int | None:
    """Return 0..100."""
    if type(value) is int and 0 <= value <= 100:
        return value
    read = number(value)
    return None if read is None else int(min(max(read, 0), 100))


def seconds(value: object) -> str | None:
    """Return a duration as requests name it: `5`, not `5.0`; the zero of a server is none."""
    if type(value) is str and value in _USUAL_SECONDS:
        return value
    read = number(value)
    if read is None:
        return text(value)
    if read <= 0:
        return None
    return str(int(read)) if read.is_integer() else str(read)


def moment(value: object) -> float | None:
    """Return Unix seconds that are given as a number; some servers give fractions."""
    if type(value) is int and 0 < value < UNIX_SECONDS_MAX:
        return value
    read = number(value)
    return read if read is not None and 0 < read < UNIX_SECONDS_MAX else None


def iso_moment(value: object) -> float | None:
    """Return the Unix seconds of a moment in ISO 8601; without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        return moment((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def milliseconds(unix_seconds: float | None) -> Instant | None:
    """Return the instant of a moment in Unix seconds."""
    return None if unix_seconds is None else round(unix_seconds * 1000)


def absent(value: object) -> bool:
    """Whether a place is empty. What stands in the wrong type there is not: it can't be read."""
    return value is None or value in ("", [], {})


def web_address(value: object) -> str | None:
    """Return an absolute http or https URL."""
    return value if isinstance(value, str) and _is_web_address(value) else None


def _is_web_address(given: str) -> bool:
    if len(given) > SIGNED_URL_CHARACTERS_MAX or not given.isprintable():
        return False
    try:
        url = URL(given)
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.host)
