"""Authentication: finds the key of a request, and notices when keys end.

A read of a key is trusted for half a second. So a revocation in one process takes effect in
every other one within a second. A busy key is read again before that, so that no request waits for
the database; it costs four reads a second.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

import structlog

from reelhook.domain.api_key import (
    ID_PREFIX,
    LAST_USE_MILLISECONDS,
    ApiKey,
    KeyExpiredError,
    KeyGrant,
    KeyRefusedError,
    token_hash,
)
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import DATABASE_FAILURES, ProjectNotFoundError, StoreError
from reelhook.domain.event import Instant
from reelhook.ports import Clock, GrantReads, ProjectReads
from reelhook.service.credentials import Lifetime, RequestCredential

log = structlog.get_logger()
T = TypeVar("T")
VALID_MILLISECONDS = 500
"""The time for which the result of a read is trusted, from the read's beginning."""
REFRESH_MILLISECONDS = 250
"""The age of a read at which the next request begins another one, without waiting for it."""
WATCH_SECONDS = 0.4
"""The pause between two checks of the keys whose holders have open streams."""
KEYS_PER_READ = 500
"""The most keys that are read at once for the streams of their holders."""
READINGS_MAX = 10_000
"""The most keys whose last read is kept."""


class _Reading(Generic[T]):
    """One read of the database, shared by everyone who asks for the same."""

    def __init__(self, started_at: Instant, read: Coroutine[Any, Any, T]) -> None:
        self.started_at = started_at
        self.following: _Reading[T] | None = None
        """The read that will take its place."""
        self._task = asyncio.ensure_future(read)
        self._task.add_done_callback(_retrieve)

    def is_valid(self, now: Instant) -> bool:
        """Return True if its result, which may not be there yet, can be trusted."""
        failed = self._task.done() and not self.succeeded
        return not failed and 0 <= now - self.started_at < VALID_MILLISECONDS

    @property
    def succeeded(self) -> bool:
        """True if the result is there."""
        task = self._task
        return task.done() and not task.cancelled() and task.exception() is None

    async def result(self) -> T:
        """Return the result. Raises `StoreError`."""
        # Shielded: a client that goes away must not end the read of others.
        return self._task.result() if self._task.done() else await asyncio.shield(self._task)


def _retrieve(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()  # asyncio would log one that nobody has seen


class AuthenticationStore(GrantReads, ProjectReads, Protocol):
    """The part of the store that authentication needs."""


class Authentication:
    """Finds keys in the store. Every method may raise `StoreError`: then nobody is let in."""

    def __init__(self, store: AuthenticationStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._readings: dict[str, _Reading[KeyGrant | None]] = {}
        self._any_key: _Reading[bool] | None = None
        self._used_at: dict[str, Instant] = {}
        self._recording: set[asyncio.Task[None]] = set()
        self._lifetimes: set[Lifetime] = set()
        self._watching: asyncio.Task[None] | None = None

    async def key(self, token: str) -> tuple[KeyGrant, RequestCredential] | None:
        """Return the key with this text, or None. Raises `KeyRefusedError` if it has ended."""
        return await self.key_of_hash(token_hash(token))

    async def key_of_hash(
        self, text_hash: str, expires_at: Instant | None = None
    ) -> tuple[KeyGrant, RequestCredential] | None:
        """Return the key whose text has this hash, as `key` does, for a session until that time."""
        return await self._accepted(RequestCredential(text_hash, expires_at))

    async def key_of_token(
        self, key_id: str, expires_at: Instant
    ) -> tuple[KeyGrant, RequestCredential] | None:
        """Return the key that made a browser token. Raises `KeyRefusedError` if either has ended.

        The key's own texts may change: a rotation ends no token.
        """
        return await self._accepted(RequestCredential(key_id, expires_at, one_job=True))

    def check_expiry(self, expires_at: Instant) -> None:
        """Raise `KeyExpiredError` if that time has come."""
        if self._clock.now() >= expires_at:
            raise KeyExpiredError

    async def key_required(self) -> bool:
        """Return True if a key was ever made here: from then on, every request needs one."""
        now = self._clock.now()
        if self._any_key is None or not self._any_key.is_valid(now):
            self._any_key = _Reading(now, self._store.any_api_key())
        return await self._any_key.result()

    async def within(self, caller: Caller, project: str) -> Caller:
        """Return the caller as it acts in a project that it names by id or name.

        A key names its own project only. Raises `ProjectNotFoundError`.
        """
        caller.require(Scope.READ)
        if not caller.allows(Scope.OPERATOR):
            found = await self._store.project(project, seen_by=caller.project)
            if found is None:
                raise ProjectNotFoundError(project)
            return caller
        found = await self._store.project(project)
        if found is None:
            raise ProjectNotFoundError(project)
        return replace(caller.within(found.id), models=found.models)

    def forget(self) -> None:
        """Forget what was read, because this process has changed a key."""
        self._readings.clear()
        self._any_key = None

    async def _accepted(
        self, credential: RequestCredential
    ) -> tuple[KeyGrant, RequestCredential] | None:
        assert credential.hash_or_id is not None  # noqa: S101 - as both callers say
        grant = await self._grant(credential.hash_or_id)
        if grant is None:
            return None
        grant.check(self._clock.now())
        if credential.expires_at is not None:
            self.check_expiry(credential.expires_at)
        self._record_use(grant.key)
        return grant, credential

    async def _grant(self, hash_or_id: str) -> KeyGrant | None:
        now = self._clock.now()
        reading = self._readings.get(hash_or_id)
        if reading is not None and reading.following is not None and reading.following.succeeded:
            reading = self._readings[hash_or_id] = reading.following
        if reading is None or not reading.is_valid(now):
            self._readings.pop(hash_or_id, None)
            reading = self._readings[hash_or_id] = _Reading(now, self._read(hash_or_id))
            if len(self._readings) > READINGS_MAX:
                del self._readings[next(iter(self._readings))]
        elif reading.following is None and now - reading.started_at >= REFRESH_MILLISECONDS:
            reading.following = _Reading(now, self._read(hash_or_id))
        return await reading.result()

    def _read(self, hash_or_id: str) -> Coroutine[Any, Any, KeyGrant | None]:
        if hash_or_id.startswith(f"{ID_PREFIX}_"):
            return self._store.api_key_grant_by_id(hash_or_id)
        return self._store.api_key_grant(hash_or_id)

    def _record_use(self, key: ApiKey) -> None:
        now = self._clock.now()
        recorded_at = self._used_at.get(key.id, 0)
        if key.use_is_due(now) and not 0 <= now - recorded_at < LAST_USE_MILLISECONDS:
            self._used_at[key.id] = now
            task = asyncio.create_task(self._recorded(key.id, now))
            self._recording.add(task)
            task.add_done_callback(self._recording.discard)

    async def _recorded(self, key_id: str, now: Instant) -> None:
        # The next use after a minute records it again.
        with contextlib.suppress(*DATABASE_FAILURES):
            await self._store.record_api_key_use(key_id, now)

    # -- open streams -------------------------------------------------------------------------

    @contextlib.contextmanager
    def lifetime(
        self, credential: RequestCredential, wake: Callable[[], None]
    ) -> Iterator[Lifetime]:
        """Watch a credential until the block ends; `wake` is called if the credential ends."""
        lifetime = Lifetime(credential, wake)
        if credential == RequestCredential():
            yield lifetime
            return
        self._lifetimes.add(lifetime)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            yield lifetime
        finally:
            self._lifetimes.discard(lifetime)
            if not self._lifetimes and self._watching is not None:
                self._watching.cancel()
                self._watching = None

    async def _watch(self) -> None:
        # Apart, since a read of the database may take long while tokens expire.
        await asyncio.gather(self._repeat(self._end_expired), self._repeat(self._end_with_keys))

    async def _repeat(self, check: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await self._clock.wait(asyncio.Event(), WATCH_SECONDS)
            try:
                await check()
            except Exception:  # of any kind: the streams rely on the next check
                log.exception("authentication.watching_failed")

    async def _end_expired(self) -> None:
        """End the streams whose browser token or session has expired."""
        now = self._clock.now()
        for lifetime in list(self._lifetimes):
            expires_at = lifetime.credential.expires_at
            if expires_at is not None and now >= expires_at:
                lifetime.end()

    async def _end_with_keys(self) -> None:
        """End the streams whose key has ended, and those without a key once a key is needed.

        A database that can't be read ends no stream.
        """
        by_key: dict[str, list[Lifetime]] = {}
        keyless: list[Lifetime] = []
        for lifetime in list(self._lifetimes):
            if lifetime.credential.until_key:
                keyless.append(lifetime)
            elif lifetime.credential.hash_or_id is not None:
                by_key.setdefault(lifetime.credential.hash_or_id, []).append(lifetime)
        keys = list(by_key)
        with contextlib.suppress(StoreError):
            if keyless and await self.key_required():
                _end(keyless)
            for start in range(0, len(keys), KEYS_PER_READ):
                for hash_or_id in await self._ended(keys[start : start + KEYS_PER_READ]):
                    _end(by_key[hash_or_id])

    async def _ended(self, hashes_or_ids: Sequence[str]) -> list[str]:
        """Return the keys that have ended."""
        grants = await self._store.api_key_grants(hashes_or_ids)
        now = self._clock.now()
        return [one for one in hashes_or_ids if _has_ended(grants.get(one), now)]


def _has_ended(grant: KeyGrant | None, now: Instant) -> bool:
    if grant is None:
        return True
    try:
        grant.check(now)
    except KeyRefusedError:
        return True
    return False


def _end(lifetimes: Iterable[Lifetime]) -> None:
    for lifetime in lifetimes:
        lifetime.end()
