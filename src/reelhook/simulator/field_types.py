"""The types of optional fields of creates, which providers check before they accept one."""

from collections.abc import Callable, Mapping

Check = Callable[[object], bool]


def is_text(value: object) -> bool:
    """Return True for a text."""
    return isinstance(value, str)


def is_flag(value: object) -> bool:
    """Return True for true or false."""
    return isinstance(value, bool)


def is_texts(value: object) -> bool:
    """Return True for a list of texts, such as URLs."""
    return isinstance(value, list) and all(map(is_text, value))


def is_uris(value: object) -> bool:
    """Return True for a list of objects with a `uri`."""
    items = value if isinstance(value, list) else [None]
    return all(isinstance(item, Mapping) and is_text(item.get("uri")) for item in items)


def first_wrong(fields: Mapping[str, object], checks: Mapping[str, Check]) -> str | None:
    """Return the name of the first field of a wrong type; null counts as left out."""
    return next(
        (
            name
            for name, check in checks.items()
            if fields.get(name) is not None and not check(fields[name])
        ),
        None,
    )
