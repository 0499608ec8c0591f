"""Operations on all secrets in the database: encrypt them with another key, decrypt, count them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reelhook.domain.encryption import Place, UndecryptableError, key_id_of
from reelhook.domain.errors import UnknownCursorError
from reelhook.ports import ReencryptedBatch, SecretsSurvey, Undecryptable
from reelhook.storage.at_rest import AtRest, Convert, mapped_place
from reelhook.storage.operation import Operation, Row, Statement

PROOF = "encryption"
"""Our key that only serves to recognise the encryption keys of this database."""
_PROOF_VALUE = "encrypted"


@dataclass(frozen=True, slots=True)
class SecretColumns:
    """The columns of a table that have secrets. `mappings` are JSON objects of secrets by name.

    `key` identifies a secret, and so the rows that have it. `since` is the revision of the table's
    first secret.
    """

    table: str
    key: str
    texts: tuple[str, ...]
    mappings: tuple[str, ...] = ()
    condition: str = "TRUE"
    since: str = "0015"

    @property
    def rows(self) -> str:
        """The SQL for the rows that have secrets."""
        some = " OR ".join(f"{name} IS NOT NULL" for name in self.columns)
        return f"FROM {self.table} WHERE ({some}) AND {self.condition}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns with secrets."""
        return (*self.texts, *self.mappings)

    def converted(self, row: Row, convert: Convert) -> Row:
        """Return a row, its key first, with another form of its secrets."""
        key, *values = row
        named = dict(zip(self.columns, values, strict=True))
        for name in self.texts:
            if named[name] is not None:
                named[name] = convert(named[name], (self.table, key, name))
        for name in self.mappings:
            if named[name] is not None:
                named[name] = self._converted_mapping(key, name, named[name], convert)
        return (key, *named.values())

    def _converted_mapping(self, key: str, column: str, value: str, convert: Convert) -> str:
        pairs: Mapping[str, str] = json.loads(value)
        return json.dumps(
            {
                name: convert(text, mapped_place(self.table, key, column, name))
                for name, text in pairs.items()
            }
        )


SECRETS = (
    # The identity of the database, and the kind of its providers, open nothing.
    SecretColumns("keys", "name", ("value",), condition="name NOT IN ('history', 'upstream')"),
    SecretColumns("projects", "id", ("secret", "previous_secret")),
    SecretColumns("endpoints", "id", ("secret", "previous_secret"), ("headers",)),
    # The request's own secret, which all deliveries of its job at its URL share, resends included.
    SecretColumns(
        "deliveries", "job_id", ("secret",), condition="secret IS NOT NULL", since="0016"
    ),
)
"""All secrets in the database. A new column with secrets belongs here."""
_OF_0015 = tuple(columns for columns in SECRETS if columns.since == "0015")
"""Those that are left when that revision, the first one with encryption, is rolled back."""


def check_keys(at_rest: AtRest) -> Operation[None]:
    """Raise `UndecryptableError` if this process lacks the keys of the database.

    The first process with keys leaves a text that later ones must be able to decrypt.
    """
    place = ("keys", PROOF, "value")
    if at_rest.newest_id is not None:
        yield Statement(
            "INSERT INTO keys (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
            (PROOF, at_rest.encrypt(_PROOF_VALUE, place)),
        )
    rows = yield Statement("SELECT value FROM keys WHERE name = ?1", (PROOF,))
    for (text,) in rows:
        at_rest.decrypt(text, place)


def reencrypt(after: str | None, limit: int, at_rest: AtRest) -> Operation[ReencryptedBatch]:
    """Encrypt the secrets of the next rows with the newest key.

    `after` is the position at which the previous batch ended. Raises `UnknownCursorError`.
    """
    at, last = _position(after)
    columns = SECRETS[at]
    names = ", ".join((columns.key, *columns.columns))
    # A row that is being changed is changed first: its new secrets are read here.
    rows = yield Statement(
        f"SELECT {names} {columns.rows} AND {columns.key} > ?1 ORDER BY {columns.key} LIMIT ?2"
        " /*pg FOR NO KEY UPDATE */",
        (last, limit),
    )
    changed, undecryptable = 0, []
    for row in rows:
        try:
            converted = columns.converted(row, at_rest.reencrypt)
        except UndecryptableError as error:
            undecryptable.append(Undecryptable(columns.table, row[0], error.key_id))
            continue
        if converted != row:
            changed += 1
            yield _update(columns, converted)
    return ReencryptedBatch(
        key_id=at_rest.newest_id or "",
        rows=len(rows),
        changed=changed,
        undecryptable=tuple(undecryptable),
        next_cursor=_next(at, rows, limit),
        total=(yield from _count()) if after is None else None,
    )


def decrypt_all(at_rest: AtRest) -> Operation[None]:
    """Store the secrets of the revision 0015 in plain text. Raises `UndecryptableError`."""
    for columns in _OF_0015:
        names = ", ".join((columns.key, *columns.columns))
        for row in (yield Statement(f"SELECT {names} {columns.rows}")):
            converted = columns.converted(tuple(row), at_rest.decrypt)
            if converted != tuple(row):
                yield _update(columns, converted)
    yield Statement("DELETE FROM keys WHERE name = ?1", (PROOF,))


def check_all(at_rest: AtRest) -> Operation[None]:
    """Raise `UndecryptableError` unless all secrets of the revision 0015 can be decrypted."""
    for columns in _OF_0015:
        names = ", ".join((columns.key, *columns.columns))
        for row in (yield Statement(f"SELECT {names} {columns.rows}")):
            columns.converted(row, at_rest.decrypt)


def survey(at_rest: AtRest) -> Operation[SecretsSurvey]:
    """Return how the secrets are stored, and which of them can't be decrypted here."""
    keys: Counter[str | None] = Counter()
    undecryptable = []

    def visit(text: str, place: Place) -> str:
        keys[key_id_of(text)] += 1
        return at_rest.decrypt(text, place)

    for columns in SECRETS:
        names = ", ".join((columns.key, *columns.columns))
        for row in (yield Statement(f"SELECT {names} {columns.rows} ORDER BY {columns.key}")):
            try:
                columns.converted(row, visit)
            except UndecryptableError as error:
                undecryptable.append(Undecryptable(columns.table, row[0], error.key_id))
    return SecretsSurvey(keys, tuple(undecryptable))


def _update(columns: SecretColumns, row: Row) -> Statement:
    values = ", ".join(f"{name} = ?{number}" for number, name in enumerate(columns.columns, 2))
    return Statement(
        f"UPDATE {columns.table} SET {values} WHERE {columns.key} = ?1 AND {columns.condition}", row
    )


def _count() -> Operation[int]:
    total = 0
    for columns in SECRETS:
        rows = yield Statement(f"SELECT count(*) {columns.rows}")
        total += rows[0][0]
    return total


def _position(cursor: str | None) -> tuple[int, str]:
    if cursor is None:
        return 0, ""
    table, _, key = cursor.partition("/")
    for number, columns in enumerate(SECRETS):
        if columns.table == table:
            return number, key
    raise UnknownCursorError


def _next(at: int, rows: Sequence[Row], limit: int) -> str | None:
    if len(rows) == limit:
        return f"{SECRETS[at].table}/{rows[-1][0]}"
    return f"{SECRETS[at + 1].table}/" if at + 1 < len(SECRETS) else None
