"""Warnings about fields of a body that its route does not know, and ignores."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

WARNINGS_MAX = 20
_NAME_CHARACTERS_MAX = 64
_SIMILARITY_MIN = 0.8


def warnings_of(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a warning for each name that is not known, with the field that it may mean.

    Of two names of a field, the last one is advised.
    """
    fields = list(known)
    by_form = {_form(one): one for one in fields}
    unknown = (name[:_NAME_CHARACTERS_MAX] for name in names if name not in fields)
    return [_warning(name, by_form) for name in islice(unknown, WARNINGS_MAX)]


def _warning(name: str, by_form: dict[str, str]) -> str:
    near = get_close_matches(_form(name), by_form, 1, _SIMILARITY_MIN)
    advice = f"; did you mean {by_form[near[0]]}?" if near else ""
    return f"{name} is no field of this request, so it was ignored{advice}"


def _form(name: str) -> str:
    """Return a name as it is compared: `webhookURL` and `webhook_url` are equal."""
    return name.lower().replace("_", "").replace("-", "")
