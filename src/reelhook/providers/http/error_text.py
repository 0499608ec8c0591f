"""Messages, codes and statuses in a body, in all the places where providers put them.

Gateways pass on the refusals of other servers as text. So a text that is, or ends with, a JSON
object is read as that object: new-api's `{"code": "fail_to_fetch_task", "message": "{\\"error\\":
…}"}`.
"""

import json
from collections.abc import Iterator
from itertools import islice

MESSAGE_CHARACTERS_MAX = 2000
_NESTED_CHARACTERS_MAX = 64 * 1024
"""A longer text is not searched for JSON."""
_DEPTH_MAX = 6
_ITEMS_MAX = 10
_CODES_MAX = 50
_INDEX_MAX = 1_000_000

_MESSAGES = ("message", "detail", "msg", "error", "reason", "title", "fail_reason", "error_message")
"""Fields with a message, the preferred one first."""
_EXPLANATIONS = ("issues", "details", "errors")
"""Fields next to a message that add to it: Runway's `issues` and `details`."""
_CODES = ("code", "type", "error_type", "failureCode")
_NESTED = (*_MESSAGES, *_EXPLANATIONS)


def message_in(content: object, depth: int = 0) -> str | None:
    """Return the message in a body or in a part of it; None if it has none.

    It understands `error.message` (OpenAI), `detail` as a text or a list of `{loc, msg}` (FastAPI),
    `error` with `issues` of `{path, message}` or with `details` (Runway), bare texts, and each of
    them within a text.
    """
    if depth > _DEPTH_MAX:
        return None
    match content:
        case str():
            return _message_in_text(content, depth)
        case list():
            parts = [message_in(item, depth + 1) for item in content[:_ITEMS_MAX]]
            return "; ".join(filter(None, parts)) or None
        case {"loc": list(path), "msg": str(problem)} if problem.strip():
            return _with_path(path, problem)
        case {"path": list(path), "message": str(problem)} if problem.strip():
            return _with_path(path, problem)
        case dict():
            return _message_in_object(content, depth)
        case _:
            return None


def codes_in(content: object) -> tuple[str, ...]:
    """Return the codes and types in a body, in lower-case letters, outermost first, at most 50."""
    texts = (code for code in _codes(content) if isinstance(code, str))
    letters = ("".join(filter(str.isalpha, code.lower())) for code in texts)
    return tuple(islice(filter(None, letters), _CODES_MAX))


def http_status_in(content: object) -> int:
    """Return the first code that is an HTTP status, as vLLM-Omni sends them; 0 without one."""
    for code in islice(_codes(content), _CODES_MAX):
        if isinstance(code, int):
            return code
        if code.isascii() and code.isdecimal() and len(code) == 3:
            return int(code)
    return 0


def _message_in_object(content: dict[str, object], depth: int) -> str | None:
    match content:
        case {"error": dict() | list() as error} if inner := message_in(error, depth + 1):
            return inner
    messages = (message_in(content.get(key), depth + 1) for key in _MESSAGES)
    first = next(filter(None, messages), None)
    more = [message_in(content.get(key), depth + 1) for key in _EXPLANATIONS]
    parts = [first, *(text for text in more if text and text not in (first or ""))]
    return ": ".join(filter(None, parts)) or None


def _message_in_text(text: str, depth: int) -> str | None:
    before, nested = _split(text)
    inner = None if nested is None else message_in(nested, depth + 1)
    return text.strip() or None if inner is None else f"{before}{inner}"


def _split(text: str) -> tuple[str, dict[str, object] | None]:
    """Return the JSON object at the end of a text, and the text before it."""
    start = text.find("{")
    if start < 0 or len(text) > _NESTED_CHARACTERS_MAX or not text.rstrip().endswith("}"):
        return text, None
    try:
        nested = json.loads(text[start:])
    except (ValueError, RecursionError):
        return text, None
    return text[:start].lstrip(), nested


def _with_path(path: list[object], problem: str) -> str:
    field = ".".join(str(step) for step in path[:_ITEMS_MAX] if _is_step(step))
    return f"{field}: {problem}" if field else problem


def _is_step(step: object) -> bool:
    """Return True for a step into a body: a field's name, or an index in a list."""
    return isinstance(step, str) or (type(step) is int and 0 <= step < _INDEX_MAX)


def _codes(content: object, depth: int = 0) -> Iterator[str | int]:
    if depth > _DEPTH_MAX:
        return
    match content:
        case str():
            yield from _codes(_split(content)[1], depth + 1)
        case list():
            for item in content[:_ITEMS_MAX]:
                yield from _codes(item, depth + 1)
        case dict():
            for key in _CODES:
                code = content.get(key)
                if isinstance(code, str) or type(code) is int:
                    yield code
            for key in _NESTED:
                yield from _codes(content.get(key), depth + 1)
        case _:
            return
