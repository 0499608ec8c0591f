"""Operations on the keys of projects."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from reelhook.domain.api_key import (
    ID_PREFIX,
    LAST_USE_MILLISECONDS,
    ApiKey,
    KeyGrant,
    KeyNotFoundError,
)
from reelhook.domain.audit import AuditEntry
from reelhook.domain.audit_facts import key_facts
from reelhook.domain.caller import Rate, Scope
from reelhook.domain.event import Instant
from reelhook.storage.operation import ConflictKeys, Operation, Statement
from reelhook.storage.operations import audit as trail

_COLUMNS = (
    *("id", "project", "name", "hint", "scopes", "models", "rates", "created_at", "created_by"),
    *("expires_at", "revoked_at", "last_used_at", "previous_until"),
)
"""The columns of `ApiKey`, in its order."""
_KEY = ", ".join(f"k.{name}" for name in _COLUMNS)
_VALUES = ", ".join(f"?{number}" for number in range(1, len(_COLUMNS) + 1))
_INSERT = (
    f"INSERT INTO api_keys ({', '.join(_COLUMNS)}, hash) VALUES ({_VALUES}, ?{len(_COLUMNS) + 1})"
)
_SET = ", ".join(f"{name} = ?{number}" for number, name in enumerate(_COLUMNS[1:], start=2))
_REPLACE = f"UPDATE api_keys SET {_SET} WHERE id = ?1"
_NEW_HASH = "UPDATE api_keys SET previous_hash = hash, hash = ?2 WHERE id = ?1"
_OF_PROJECT = "(CAST(?{0} AS TEXT) IS NULL OR k.project = ?{0})"
_ONE = f"SELECT {_KEY} FROM api_keys k WHERE k.id = ?1 AND {_OF_PROJECT.format(2)}"
_LISTED = f"SELECT {_KEY} FROM api_keys k WHERE {_OF_PROJECT.format(1)} ORDER BY k.created_at, k.id"
_GRANTED = (
    f"{_KEY}, p.closed_at, p.models FROM api_keys k LEFT JOIN projects p ON p.id = k.project WHERE"
)
_GRANT = f"SELECT {_GRANTED}"
_USED = (
    "UPDATE api_keys SET last_used_at = ?2"
    " WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at <= ?3)"
)
_ANY_VALID = (
    "SELECT 1 FROM api_keys k LEFT JOIN projects p ON p.id = k.project"
    " WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?1)"
    " AND p.closed_at IS NULL LIMIT 1"
)


def create(key: ApiKey, token_hash: str, audit: AuditEntry | None = None) -> Operation[None]:
    """Store a new key."""
    yield Statement(_INSERT, (*_values(key), token_hash))
    yield from trail.add_change(audit, key.project, None, key_facts(key))


def one(key_id: str, *, seen_by: str | None = None) -> Operation[ApiKey]:
    """Return one key. Raises `KeyNotFoundError`."""
    return _found(key_id, (yield Statement(_ONE, (key_id, seen_by))))


def listed(*, seen_by: str | None = None) -> Operation[list[ApiKey]]:
    """Return the keys, oldest first."""
    return [_key_of(row) for row in (yield Statement(_LISTED, (seen_by,)))]


def change(
    key_id: str,
    change: Callable[[ApiKey], ApiKey],
    audit: AuditEntry | None = None,
    *,
    new_hash: str | None = None,
    seen_by: str | None = None,
) -> Operation[ApiKey]:
    """Change a key, and return the result. Raises `KeyNotFoundError`."""
    locked = Statement(f"{_ONE} /*pg FOR UPDATE */", (key_id, seen_by))
    before = _found(key_id, (yield locked))
    after = change(before)
    if after is not before:
        yield Statement(_REPLACE, _values(after))
        yield from trail.add_change(audit, after.project, key_facts(before), key_facts(after))
    if new_hash is not None:
        yield Statement(_NEW_HASH, (key_id, new_hash))
    return after


def grant(token_hash: str) -> Operation[KeyGrant | None]:
    """Return the key with this hash, now or before its last rotation."""
    for by_previous, column in enumerate(("hash", "previous_hash")):
        rows = yield Statement(f"{_GRANT} k.{column} = ?1", (token_hash,))
        if rows:
            return _grant_of(rows[0], by_previous=bool(by_previous))
    return None


def grant_by_id(key_id: str) -> Operation[KeyGrant | None]:
    """Return the key with this id."""
    rows = yield Statement(f"{_GRANT} k.id = ?1", (key_id,))
    return _grant_of(rows[0]) if rows else None


def grants(hashes_or_ids: Sequence[str]) -> Operation[dict[str, KeyGrant]]:
    """Return the keys with these hashes, now or before their last rotation, or ids."""
    found: dict[str, KeyGrant] = {}
    for column in ("id", "hash", "previous_hash"):
        wanted = [
            one
            for one in hashes_or_ids
            if one not in found and one.startswith(f"{ID_PREFIX}_") is (column == "id")
        ]
        if wanted:
            places = ", ".join(f"?{number}" for number in range(1, len(wanted) + 1))
            for name, *row in (
                yield Statement(f"SELECT k.{column}, {_GRANTED} k.{column} IN ({places})", wanted)
            ):
                found[name] = _grant_of(row, by_previous=column == "previous_hash")
    return found


def any_made() -> Operation[bool]:
    """Return True if a key was ever made."""
    return bool((yield Statement("SELECT 1 FROM api_keys LIMIT 1")))


def any_valid(now: Instant) -> Operation[bool]:
    """Return True if a key is accepted now."""
    return bool((yield Statement(_ANY_VALID, (now,))))


def record_use(key_id: str, now: Instant) -> Operation[None]:
    """Store the time of a key's last use, unless a recent one is stored."""
    yield Statement(_USED, (key_id, now, now - LAST_USE_MILLISECONDS))


def conflict_keys_of_use(key_id: str, now: Instant) -> ConflictKeys:
    """Return the key of recording a use: no other frequent write touches the row."""
    return (("api_key", key_id),)


def _found(key_id: str, rows: Sequence[Sequence[Any]]) -> ApiKey:
    if not rows:
        raise KeyNotFoundError(key_id)
    return _key_of(rows[0])


def _values(key: ApiKey) -> tuple[Any, ...]:
    return (
        *(key.id, key.project, key.name, key.hint),
        ",".join(scope.value for scope in Scope if scope in key.scopes),
        None if key.models is None else json.dumps(key.models),
        json.dumps([[rate.requests, rate.window_seconds] for rate in key.rates]),
        *(key.created_at, key.created_by, key.expires_at, key.revoked_at, key.last_used_at),
        key.previous_until,
    )


def _key_of(row: Sequence[Any]) -> ApiKey:
    id_, project, name, hint, scopes, models, rates, *times = row
    return ApiKey(
        *(id_, project, name, hint),
        frozenset(map(Scope, scopes.split(","))),
        _models_of(models),
        tuple(Rate(requests, seconds) for requests, seconds in json.loads(rates or "[]")),
        *times,
    )


def _grant_of(row: Sequence[Any], *, by_previous: bool = False) -> KeyGrant:
    *key, closed_at, models = row
    return KeyGrant(
        _key_of(key), closed_at is not None, _models_of(models), by_previous=by_previous
    )


def _models_of(written: str | None) -> tuple[str, ...] | None:
    return None if written is None else tuple(json.loads(written))
