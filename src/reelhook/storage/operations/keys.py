"""Operations on our own keys: values that are chosen once and never change."""

from reelhook.storage.operation import Operation, Statement


def key(name: str, made: str) -> Operation[str]:
    """Return the key of this name; `made` becomes the key if there is none yet."""
    yield Statement(
        "INSERT INTO keys (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        (name, made),
    )
    rows = yield Statement("SELECT value FROM keys WHERE name = ?1", (name,))
    return str(rows[0][0])


def known_key(name: str) -> Operation[str | None]:
    """Return the key of this name, or None."""
    rows = yield Statement("SELECT value FROM keys WHERE name = ?1", (name,))
    return str(rows[0][0]) if rows else None


def upstream(kind: str) -> Operation[str]:
    """Return the kind of providers that this database is used with: that of its first job."""
    yield Statement(
        "UPDATE keys SET value = ?1 WHERE name = 'upstream' AND NOT EXISTS (SELECT 1 FROM jobs)",
        (kind,),
    )
    return (yield from key("upstream", kind))
