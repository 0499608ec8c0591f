"""What a body says, wherever it says it: sentences for people, names and numbers for programs.

Gateways pass on the refusals of others as text, so a text that is, or ends with, a JSON object is
read as that object: new-api's `{"code": "fail_to_fetch_task", "message": "{\\"error\\": …}"}`.
"""

import json
from collections.abc import Iterator
from itertools import islice

SENTENCE_CHARACTERS_MAX = 2000
_NESTED_CHARACTERS_MAX = 64 * 1024
"""A longer text is not searched for JSON."""
_DEPTH_MAX = 6
_ITEMS_MAX = 10
_NAMES_MAX = 50
_PLACES_MAX = 1_000_000

_WORDS = ("message", "detail", "msg", "error", "reason", "title", "fail_reason", "error_message")
"""Where a sentence stands, first the place that is preferred."""
_EXPLANATIONS = ("issues", "details", "errors")
"""What stands beside a sentence and says more: Runway's `issues` and `details`."""
_NAMES = ("code", "type", "error_type", "failureCode")
_NESTED = (*_WORDS, *_EXPLANATIONS)


def sentence(said: object, depth: int = 0) -> str | None:
    """Return the words of a body or of a part of it; None where it has none.

    Understood are `error.message` (OpenAI), `detail` as a text or a list of `{loc, msg}` (FastAPI),
    `error` with `issues` of `{path, message}` or with `details` (Runway), bare texts, and each of
    them within a text.
    """
    if depth > _DEPTH_MAX:
        return None
    match said:
        case str():
            return _text(said, depth)
        case list():
            parts = [sentence(one, depth + 1) for one in said[:_ITEMS_MAX]]
            return "; ".join(filter(None, parts)) or None
        case {"loc": list(place), "msg": str(problem)} if problem.strip():
            return _placed(place, problem)
        case {"path": list(place), "message": str(problem)} if problem.strip():
            return _placed(place, problem)
        case dict():
            return _object(said, depth)
        case _:
            return None


def names(said: object) -> tuple[str, ...]:
    """Return the codes and types of a body in lower-case letters, outermost first, 50 at most."""
    texts = (one for one in _codes(said) if isinstance(one, str))
    letters = ("".join(filter(str.isalpha, one.lower())) for one in texts)
    return tuple(islice(filter(None, letters), _NAMES_MAX))


def status(said: object) -> int:
    """Return the first code that is an HTTP status, as vLLM-Omni's are; 0 where none is."""
    for code in islice(_codes(said), _NAMES_MAX):
        if isinstance(code, int):
            return code
        if code.isascii() and code.isdecimal() and len(code) == 3:
            return int(code)
    return 0


def _object(said: dict[str, object], depth: int) -> str | None:
    match said:
        case {"error": dict() | list() as error} if inner := sentence(error, depth + 1):
            return inner
    found = (sentence(said.get(key), depth + 1) for key in _WORDS)
    first = next(filter(None, found), None)
    more = [sentence(said.get(key), depth + 1) for key in _EXPLANATIONS]
    parts = [first, *(one for one in more if one and one not in (first or ""))]
    return ": ".join(filter(None, parts)) or None


def _text(said: str, depth: int) -> str | None:
    before, nested = _split(said)
    inner = None if nested is None else sentence(nested, depth + 1)
    return said.strip() or None if inner is None else f"{before}{inner}"


def _split(said: str) -> tuple[str, dict[str, object] | None]:
    """Return the JSON object that a text ends with, and what stands before it."""
    start = said.find("{")
    if start < 0 or len(said) > _NESTED_CHARACTERS_MAX or not said.rstrip().endswith("}"):
        return said, None
    try:
        nested = json.loads(said[start:])
    except (ValueError, RecursionError):
        return said, None
    return said[:start].lstrip(), nested


def _placed(place: list[object], problem: str) -> str:
    where = ".".join(str(one) for one in place[:_ITEMS_MAX] if _is_step(one))
    return f"{where}: {problem}" if where else problem


def _is_step(one: object) -> bool:
    """Whether this leads further into a body: a field's name, or a place in a list."""
    return isinstance(one, str) or (type(one) is int and 0 <= one < _PLACES_MAX)


def _codes(said: object, depth: int = 0) -> Iterator[str | int]:
    if depth > _DEPTH_MAX:
        return
    match said:
        case str():
            yield from _codes(_split(said)[1], depth + 1)
        case list():
            for one in said[:_ITEMS_MAX]:
                yield from _codes(one, depth + 1)
        case dict():
            for key in _NAMES:
                code = said.get(key)
                if isinstance(code, str) or type(code) is int:
                    yield code
            for key in _NESTED:
                yield from _codes(said.get(key), depth + 1)
        case _:
            return
