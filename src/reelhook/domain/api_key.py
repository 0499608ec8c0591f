"""Keys of projects: their text, what each may do, and until when."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from zlib import crc32

from reelhook.domain.caller import Caller, Rate, Scope, ScopeMissingError
from reelhook.domain.errors import InvalidRequestError, NotFoundError, ReelhookError
from reelhook.domain.event import Instant
from reelhook.domain.problem import Problem

PREFIX = "rhk_"
RANDOM_CHARACTERS = 43
"""The number of base-62 digits of 256 random bits."""
CHECKSUM_CHARACTERS = 6
"""The number of base-62 digits of a CRC-32."""
TOKEN = f"{PREFIX}[0-9A-Za-z]{{{RANDOM_CHARACTERS + CHECKSUM_CHARACTERS}}}"
"""The regular expression by which secret scanners recognise a key."""
ID_PREFIX = "key"
HINT_CHARACTERS = 8
NAME_CHARACTERS_MAX = 100
MODELS_MAX = 100
LAST_USE_MILLISECONDS = 60_000
"""The minimum time between two records of a key's last use."""
GRANTABLE = tuple(scope.value for scope in Scope if scope is not Scope.OPERATOR)
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(TOKEN)


class KeyRefusedError(ReelhookError):
    """A key that is known here is no longer accepted."""

    code = "key_revoked"


class KeyExpiredError(KeyRefusedError):
    """A key's time is over."""

    code = "key_expired"

    def __init__(self) -> None:
        super().__init__("This key has expired; use another one")


class KeyRevokedError(KeyRefusedError):
    """A key was revoked."""

    def __init__(self) -> None:
        super().__init__("This key was revoked; use another one")


class ProjectClosedKeyError(KeyRefusedError):
    """A key's project was closed."""

    problem = "key_project_closed"

    def __init__(self) -> None:
        super().__init__("This key's project was closed; use a key of another project")


class KeyNotFoundError(NotFoundError):
    """There is no such key."""

    code = "key_not_found"
    kind = "Key"


class KeyEndedError(ReelhookError):
    """A key that was revoked, or has expired, can't be rotated."""

    code = "key_ended"

    def __init__(self) -> None:
        super().__init__("This key was revoked or has expired; create a new one")


class GrantTooWideError(ReelhookError):
    """A key would grant more than its maker has."""

    code = "grant_too_wide"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, facts={"field": field})


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A project's key. Its text is known to its holder alone.

    `hint` is the beginning of the text. `models` are the only ones that its jobs may use; None: all
    of the project. `created_by` is the id of the key that made it; None: the operator.
    `previous_until`: until then the text before the last rotation is accepted too.
    """

    id: str
    project: str
    name: str
    hint: str
    scopes: frozenset[Scope]
    models: tuple[str, ...] | None
    rates: tuple[Rate, ...]
    created_at: Instant
    created_by: str | None = None
    expires_at: Instant | None = None
    revoked_at: Instant | None = None
    last_used_at: Instant | None = None
    previous_until: Instant | None = None

    def ended(self, now: Instant) -> bool:
        """Return True if the key was revoked, or has expired."""
        expired = self.expires_at is not None and now >= self.expires_at
        return expired or self.revoked_at is not None

    def use_is_due(self, now: Instant) -> bool:
        """Return True if its last use should be recorded again."""
        return self.last_used_at is None or now - self.last_used_at >= LAST_USE_MILLISECONDS

    def check_grant(self, maker: Caller) -> None:
        """Raise `ReelhookError` if the key grants more than its maker has."""
        for scope in sorted(self.scopes, key=list(Scope).index, reverse=True):
            if not maker.allows(scope):
                raise ScopeMissingError(scope)
        if maker.expires_at is not None and (
            self.expires_at is None or self.expires_at > maker.expires_at
        ):
            raise GrantTooWideError(
                "expires",
                "A key can't last longer than the text of the key that makes or rotates it; "
                "expire it sooner, or use a text that lasts longer",
            )
        if maker.models is not None and (
            self.models is None or not set(self.models) <= set(maker.models)
        ):
            raise GrantTooWideError(
                "models",
                "A key can't use more models than the key that makes it: "
                f"name some of {', '.join(maker.models) or 'none'}",
            )
        if not all(any(rate.within(most) for rate in self.rates) for most in maker.rates):
            limits = ", ".join(f"{one.requests} per {one.window_seconds} s" for one in maker.rates)
            raise GrantTooWideError(
                "rates",
                "A key can't have weaker rates than the key that makes or rotates it, which may "
                f"send {limits} requests; lower them",
            )


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """A key as it was read for a request, with what its project allows.

    `by_previous`: it was found by its text before the last rotation.
    """

    key: ApiKey
    project_closed: bool = False
    project_models: tuple[str, ...] | None = None
    by_previous: bool = False

    def check(self, now: Instant) -> None:
        """Raise `KeyRefusedError` unless the key is accepted now."""
        key = self.key
        if key.revoked_at is not None:
            raise KeyRevokedError
        if self.project_closed:
            raise ProjectClosedKeyError
        if key.ended(now) or (self.by_previous and now >= (key.previous_until or 0)):
            raise KeyExpiredError

    @property
    def expires_at(self) -> Instant | None:
        """The time at which this text of the key ends, if nobody ends it sooner."""
        until = self.key.previous_until if self.by_previous else None
        return min(
            (at for at in (self.key.expires_at, until) if at is not None),
            default=None,
        )

    @property
    def caller(self) -> Caller:
        """The caller that a request with this key is."""
        key = self.key
        return Caller(
            key.project,
            key.scopes,
            key_id=key.id,
            models=narrowed(self.project_models, key.models),
            key_name=key.name,
            expires_at=self.expires_at,
            rates=key.rates,
        )


def rates_within(rates: Iterable[Rate], most: Iterable[Rate]) -> tuple[Rate, ...]:
    """Return the rates, and those of `most` for the windows that they lack; shortest first."""
    by_window = {rate.window_seconds: rate for rate in (*most, *rates)}
    return tuple(by_window[window] for window in sorted(by_window))


def narrowed(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the models that are in both lists; None is the list of all models."""
    if one is None or other is None:
        return other if one is None else one
    return tuple(name for name in one if name in other)


def new_token(random: Random) -> str:
    """Return the text of a new key: a prefix, 256 random bits, and a checksum."""
    digits = _base62(random.getrandbits(256), RANDOM_CHARACTERS)
    return PREFIX + digits + _checksum(digits)


def is_token(text: str) -> bool:
    """Return True if the text has the form of a key, checksum included."""
    if not _TOKEN.fullmatch(text):
        return False
    body = text.removeprefix(PREFIX)
    return body[RANDOM_CHARACTERS:] == _checksum(body[:RANDOM_CHARACTERS])


def token_hash(token: str) -> str:
    """Return the hash by which a key is stored. A random secret needs no slow hash."""
    return sha256(token.encode()).hexdigest()


def hint_of(token: str) -> str:
    """Return the beginning of a key, by which people recognise it."""
    return token[:HINT_CHARACTERS]


def rotated(key: ApiKey, token: str, now: Instant, overlap_milliseconds: int) -> ApiKey:
    """Return the key with a new text. Raises `KeyEndedError`."""
    if key.ended(now):
        raise KeyEndedError
    return replace(key, hint=hint_of(token), previous_until=now + overlap_milliseconds)


def scopes_of(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes of a key. Raises `InvalidRequestError`."""
    chosen = list(names)
    for name in chosen:
        if name not in GRANTABLE:
            problem = Problem.NOT_ONE_OF
            raise InvalidRequestError("scopes", problem, allowed=GRANTABLE, value=name)
    if not chosen:
        raise InvalidRequestError("scopes", Problem.EMPTY)
    return frozenset(map(Scope, chosen))


def _checksum(digits: str) -> str:
    return _base62(crc32(digits.encode()), CHECKSUM_CHARACTERS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
