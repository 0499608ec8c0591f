"""What a provider answered, read to its end, and how its JSON is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import ClientError
from pydantic_core import from_json

from reelhook.guard.certificates import distrust

CONNECTION_ERRORS = (ClientError, OSError, TimeoutError, ValueError)
"""What aiohttp raises when a request can't be made, or its answer can't be read."""
VALUES_MAX = 50_000
"""How many values a JSON document may have: a page of 500 tasks has half as many. The smallest
ones, as in `[[],[],…]`, take thirty times as much memory as text, and longer to read."""
_BACKSLASH = ord("\\")
TEXT_BYTES = 4096
"""How much of a body is looked at where it is shown as text."""


def read_json(body: bytes | bytearray) -> object:
    """Return a body's JSON; None where it has none, or more than `VALUES_MAX` values.

    pydantic's reader takes less than half of the time of Python's, and does not take all that
    Python's does: halves of surrogate pairs, a byte order mark.
    """
    if len(body) > VALUES_MAX and _values(body) > VALUES_MAX:
        return None
    try:
        return from_json(body)
    except ValueError:
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # RecursionError: brackets nested by the thousand
        return None


def _values(body: bytes | bytearray) -> int:
    """Return how many values a document has at most: each follows one of four characters.

    Counting ends soon beyond `VALUES_MAX`; nothing is copied.
    """
    count = 1 + _marks(body, 0, len(body))
    if count <= VALUES_MAX:
        return count
    # Many of them may stand in texts, and each text ends with a quote that is not escaped.
    if body.count(rb"\"") > VALUES_MAX:
        return count
    count, start = 1, 0
    for _ in range(VALUES_MAX):
        quote = body.find(b'"', start)
        count += _marks(body, start, len(body) if quote < 0 else quote)
        if quote < 0 or count > VALUES_MAX:
            return count
        start = _end_of_text(body, quote + 1)
        if not start:  # it does not end: this is no JSON
            return count
    return VALUES_MAX + 1


def _marks(body: bytes | bytearray, start: int, end: int) -> int:
    return sum(body.count(mark, start, end) for mark in (b",", b":", b"[", b"{"))


def _end_of_text(body: bytes | bytearray, start: int) -> int:
    """Return where what follows a text begins; 0 where it does not end."""
    while (quote := body.find(b'"', start)) >= 0:
        escapes = 0
        while body[quote - 1 - escapes] == _BACKSLASH:
            escapes += 1
        start = quote + 1
        if escapes % 2 == 0:
            return start
    return 0


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """Status and headers, and the body: None where it did not arrive whole or was too long.

    `read` holds the body's JSON where it was read already.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    read: tuple[object] | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> object:
        """Return the body's JSON; None where it has none."""
        return self.read[0] if self.read else read_json(self.body or b"")

    def is_object(self) -> bool:
        """Whether the body is a JSON object: what a provider says, not what is in its way."""
        return isinstance(self.json(), dict)

    def fields(self) -> dict[str, object]:
        """Return the body's JSON object; an empty one where it has none."""
        content = self.json()
        return content if isinstance(content, dict) else {}

    def text(self) -> str:
        """Return the body's beginning as text."""
        return (self.body or b"")[:TEXT_BYTES].decode(errors="replace")


def described(error: BaseException) -> str:
    """Return what went wrong, for a log: time-outs and some resets have no words of their own."""
    if (distrusted := distrust(error)) is not None:
        return f"its certificate {distrusted}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
