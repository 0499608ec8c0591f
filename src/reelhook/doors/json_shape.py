"""The shape of a JSON body, checked before it is parsed: its depth and its number of values.

Parsing can multiply the size by a hundred; `[[],[],…]` of 1 MiB takes 20 MiB.
"""

import re

from starlette.exceptions import HTTPException

from reelhook.doors.limits import MIB, LimitError

DEPTH_MAX = 200
VALUES_MAX = 10_000
VALUE_BYTES = 256
"""The most memory that a parsed value takes, in addition to the text of a string."""
# A string up to its end, or to that of the body, so that each byte is read once.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
_NOT_STRUCTURE = bytes(set(range(256)) - set(b"[]{},"))


def parsed_bytes(body: bytes) -> int:
    """Return the most memory that the body's values take once parsed. Raises `LimitError`."""
    values = _upper_bound(body)
    if values <= DEPTH_MAX:
        return values * VALUE_BYTES
    # Each string is a name or a value, and escaped quotes begin or end none.
    strings = (body.count(b'"') - body.count(b'\\"')) // 2
    if len(body) > MIB and strings > 2 * VALUES_MAX:  # looking at each of them takes seconds
        raise _too_many()
    if values > VALUES_MAX or _count(body, _OPENING) > DEPTH_MAX:
        structure = _STRING.sub(b"", body).translate(None, _NOT_STRUCTURE)
        if _count(structure, _OPENING) != _count(structure, _CLOSING):
            raise HTTPException(400)  # not JSON, whatever its size
        values = _upper_bound(structure)
        if values > VALUES_MAX:
            raise _too_many()
        _check_depth(structure)
    return values * VALUE_BYTES


def _too_many() -> LimitError:
    return LimitError(
        400,
        "json_too_many_values",
        f"The body has more than {VALUES_MAX} values; send fewer, or put long data into one string",
    )


def _upper_bound(text: bytes) -> int:
    return text.count(b",") + _count(text, _OPENING) + 1


def _count(text: bytes, brackets: bytes) -> int:
    return sum(text.count(bracket) for bracket in brackets)


def _check_depth(structure: bytes) -> None:
    depth = 0
    for byte in structure:
        if byte in _OPENING:
            depth += 1
            if depth > DEPTH_MAX:
                raise LimitError(
                    400,
                    "json_too_deep",
                    f"The body is nested more than {DEPTH_MAX} levels deep; send it flatter",
                )
        elif byte in _CLOSING:
            depth -= 1
