"""A provider's response, read to its end, and the reading of its JSON."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ssl import SSLError

from aiohttp import ClientConnectorError, ClientError
from pydantic_core import from_json

from reelhook.guard.certificates import distrust

CONNECTION_ERRORS = (ClientError, OSError, TimeoutError, ValueError)
"""Exceptions of aiohttp when a request can't be made or its response can't be read."""
VALUES_MAX = 50_000
"""The most values that a JSON document may have: a page of 500 tasks has half as many. The smallest
values, as in `[[],[],…]`, take thirty times as much memory as text, and more time to read."""
_BACKSLASH = ord("\\")
TEXT_BYTES = 4096
"""The part of a body that is kept where it is shown as text."""


def read_json(body: bytes | bytearray) -> object:
    """Return a body's JSON; None if it has none, or more than `VALUES_MAX` values.

    pydantic's parser takes less than half the time of Python's. It rejects some documents that
    Python's accepts: those with lone surrogates or a byte order mark.
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
    """Return an upper bound of the number of values: each follows one of four characters.

    Counting ends shortly after `VALUES_MAX`; nothing is copied.
    """
    count = 1 + _delimiters(body, 0, len(body))
    if count <= VALUES_MAX:
        return count
    # Many of these characters may be inside strings. A string ends with an unescaped quote.
    if body.count(rb"\"") > VALUES_MAX:
        return count
    count, start = 1, 0
    for _ in range(VALUES_MAX):
        quote = body.find(b'"', start)
        count += _delimiters(body, start, len(body) if quote < 0 else quote)
        if quote < 0 or count > VALUES_MAX:
            return count
        start = _end_of_string(body, quote + 1)
        if not start:  # an unterminated string: this is not JSON
            return count
    return VALUES_MAX + 1


def _delimiters(body: bytes | bytearray, start: int, end: int) -> int:
    return sum(body.count(character, start, end) for character in (b",", b":", b"[", b"{"))


def _end_of_string(body: bytes | bytearray, start: int) -> int:
    """Return the position after the end of a string; 0 if it does not end."""
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
    """Status, headers and body. The body is None if it did not arrive whole or was too long.

    `read` holds the body's JSON if it is parsed already.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None
    read: tuple[object] | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Return True if the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> object:
        """Return the body's JSON; None if it has none."""
        return self.read[0] if self.read else read_json(self.body or b"")

    def is_object(self) -> bool:
        """Return True if the body is a JSON object: then the provider sent it, not a proxy."""
        return isinstance(self.json(), dict)

    def fields(self) -> dict[str, object]:
        """Return the body's JSON object; an empty one if it has none."""
        content = self.json()
        return content if isinstance(content, dict) else {}

    def text(self) -> str:
        """Return the beginning of the body as text."""
        return (self.body or b"")[:TEXT_BYTES].decode(errors="replace")


def error_description(error: BaseException) -> str:
    """Return a description for people: the server and the reason, if nothing connected to it.

    Time-outs and some resets have no message; then it is the name of the error.
    """
    if (distrusted := distrust(error)) is not None:
        return f"its certificate {distrusted}"
    if isinstance(error, ClientConnectorError) and not isinstance(error.os_error, SSLError):
        return f"{error.host}:{error.port}: {_reason(error.os_error)}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _reason(error: OSError) -> str:
    # asyncio repeats the address in place of the reason. Errors of name resolution are below 0.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
