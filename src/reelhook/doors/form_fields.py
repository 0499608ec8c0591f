"""Names of form fields: `metadata[order]` is a member of an object, `images[]` one of a list.

These are the forms in which OpenAI's SDKs send nested values (`array_format` "brackets").
"""

import re
from typing import Any

from reelhook.domain.errors import InvalidRequestError

DEPTH_MAX = 8
NAME_CHARACTERS_MAX = 500
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_LIST = ""


class FormFields:
    """The fields of a form, in the shape that JSON would have."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def add(self, name: str, value: Any) -> None:
        """Add a field. A name that comes again makes a list.

        Raises `InvalidRequestError` for a malformed name, or one that contradicts an earlier one.
        """
        first, *rest = _path(name)
        _put(self.fields, first, rest, value, name)


def _path(name: str) -> list[str]:
    match = _NAME.fullmatch(name) if len(name) <= NAME_CHARACTERS_MAX else None
    path = [match[1], *re.findall(r"\[([^\]]*)\]", match[2])] if match else []
    if not path or len(path) > DEPTH_MAX:
        raise InvalidRequestError(
            name[:NAME_CHARACTERS_MAX],
            "The name of a form field must be like prompt, metadata[order] or reference_images[], "
            f"with at most {DEPTH_MAX} parts and {NAME_CHARACTERS_MAX} characters",
        )
    return path


def _put(target: dict[str, Any], key: str, rest: list[str], value: Any, name: str) -> None:
    if not rest:
        if key in target:
            before = target[key]
            if isinstance(before, dict):
                raise _contradiction(name)
            target[key] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            target[key] = value
    elif rest[0] == _LIST:
        _append(_inner(target, key, list[Any](), name), rest[1:], value, name)
    else:
        _put(_inner(target, key, dict[str, Any](), name), rest[0], rest[1:], value, name)


def _append(items: list[Any], rest: list[str], value: Any, name: str) -> None:
    """Add to a list. A member goes to the last object, until that one has a member of this name."""
    if not rest:
        items.append(value)
        return
    if rest[0] == _LIST:
        raise _contradiction(name)
    last = items[-1] if items else None
    if not isinstance(last, dict) or (len(rest) == 1 and rest[0] in last):
        items.append({})
    _put(items[-1], rest[0], rest[1:], value, name)


def _inner(target: dict[str, Any], key: str, empty: Any, name: str) -> Any:
    inner = target.setdefault(key, empty)
    if type(inner) is not type(empty):
        raise _contradiction(name)
    return inner


def _contradiction(name: str) -> InvalidRequestError:
    return InvalidRequestError(
        name,
        f"{name} contradicts another field of the form: it can't be a text, a list and an object "
        "at once; name it in one form",
    )
