"""The use cases for keys: create them, list them, rotate and revoke them."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Protocol

from reelhook.domain.api_key import (
    ID_PREFIX,
    MODELS_MAX,
    NAME_CHARACTERS_MAX,
    ApiKey,
    hint_of,
    new_token,
    rates_within,
    rotated,
    scopes_of,
    token_hash,
)
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Caller, Rate, Scope
from reelhook.domain.catalog import Catalog
from reelhook.domain.conflicts import ProjectClosedError
from reelhook.domain.errors import CommitUnknownError, InvalidRequestError
from reelhook.domain.ids import new_id
from reelhook.domain.problem import Problem
from reelhook.domain.request import check_text
from reelhook.ports import ApiKeyStore, Clock, ProjectReads
from reelhook.service.authentication import Authentication


class KeyStore(ApiKeyStore, ProjectReads, Protocol):
    """The part of the store that the use cases for keys need."""


class Keys:
    """The keys of projects, over one store. Methods that take an id raise `KeyNotFoundError`."""

    def __init__(
        self,
        store: KeyStore,
        authentication: Authentication,
        catalog: Catalog,
        *,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._authentication = authentication
        self._catalog = catalog
        self._clock = clock
        self._random = random

    async def create(
        self,
        caller: Caller,
        name: str,
        scopes: Sequence[str],
        *,
        lifetime_seconds: int | None = None,
        models: Sequence[str] | None = None,
        rates: Sequence[Rate] = (),
    ) -> tuple[ApiKey, str]:
        """Store a new key of the caller's project. Return it with its text, which is not kept.

        For windows without a rate it has the caller's. Raises `InvalidRequestError`,
        `ProjectClosedError`, or `ScopeMissingError` or `GrantTooWideError` for more than the caller
        has.
        """
        caller.require(Scope.ADMIN)
        check_text("name", name, NAME_CHARACTERS_MAX)
        project = await self._store.project(caller.project)
        if project is not None and project.closed_at is not None:
            raise ProjectClosedError(project.id)
        now, token = self._clock.now(), new_token(self._random)
        key = ApiKey(
            id=new_id(ID_PREFIX, now, self._random),
            project=caller.project,
            name=name,
            hint=hint_of(token),
            scopes=scopes_of(scopes),
            models=None if models is None else self._display_names(models),
            rates=rates_within(rates, caller.rates),
            created_at=now,
            created_by=caller.key_id,
            expires_at=None if lifetime_seconds is None else now + lifetime_seconds * 1000,
        )
        key.check_grant(caller)
        try:
            entry = AuditEntry.by(caller, now, Action.KEY_CREATED, key.id, key.project)
            await self._store.create_api_key(key, token_hash(token), entry)
        except CommitUnknownError as error:
            raise error.naming(key_id=key.id) from error
        finally:
            self._authentication.forget()
        return key, token

    async def all(self, caller: Caller) -> list[ApiKey]:
        """Return the keys that the caller may see, oldest first, those that have ended included."""
        caller.require(Scope.ADMIN)
        return await self._store.api_keys(seen_by=caller.sees)

    async def one(self, caller: Caller, key_id: str) -> ApiKey:
        """Return one key."""
        caller.require(Scope.ADMIN)
        return await self._store.api_key(key_id, seen_by=caller.sees)

    async def revoke(self, caller: Caller, key_id: str) -> ApiKey:
        """End a key, in every process within a second. A second call changes nothing."""
        caller.require(Scope.ADMIN)
        now = self._clock.now()

        def revoked(key: ApiKey) -> ApiKey:
            return key if key.revoked_at is not None else replace(key, revoked_at=now)

        try:
            entry = AuditEntry.by(caller, now, Action.KEY_REVOKED, key_id, None)
            return await self._store.change_api_key(key_id, revoked, entry, seen_by=caller.sees)
        finally:
            self._authentication.forget()

    async def rotate(self, caller: Caller, key_id: str, overlap_seconds: int) -> tuple[ApiKey, str]:
        """Give a key a new text, and return both. The present text is accepted for the overlap.

        Its id stays, and so do its budgets. Raises `KeyEndedError`, or the errors of `create` if
        the key has more than the caller.
        """
        caller.require(Scope.ADMIN)
        now, token = self._clock.now(), new_token(self._random)

        def changed(key: ApiKey) -> ApiKey:
            key.check_grant(caller)
            return rotated(key, token, now, overlap_seconds * 1000)

        try:
            key = await self._store.change_api_key(
                key_id,
                changed,
                AuditEntry.by(caller, now, Action.KEY_ROTATED, key_id, None),
                new_hash=token_hash(token),
                seen_by=caller.sees,
            )
        except CommitUnknownError as error:
            raise error.naming(key_id=key_id) from error
        finally:
            self._authentication.forget()
        return key, token

    def _display_names(self, models: Sequence[str]) -> tuple[str, ...]:
        """Return the models as jobs name them: without aliases and names of accounts."""
        if len(models) > MODELS_MAX:
            raise InvalidRequestError("models", Problem.TOO_MANY, limit=MODELS_MAX)
        return tuple(
            dict.fromkeys(self._catalog.choose(model, "models").display_name for model in models)
        )
