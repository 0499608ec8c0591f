"""The use cases for budgets: set the limits of a project or a key, raise them, read the sums."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from reelhook.domain.api_key import ApiKey
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.budget import Budget, BudgetLimits, key_owner, project_owner
from reelhook.domain.budget_check import check_limits, check_raise, priced_units
from reelhook.domain.budget_usage import Usage, usage
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.catalog import Catalog
from reelhook.domain.errors import CommitUnknownError, ProjectNotFoundError
from reelhook.domain.event import Instant
from reelhook.domain.job import Job
from reelhook.domain.reservation import Bill
from reelhook.ports import ApiKeyStore, BudgetState, BudgetStore, Clock, ProjectReads


class BudgetsStore(BudgetStore, ProjectReads, ApiKeyStore, Protocol):
    """The store, as far as budgets need it."""


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A budget, the limits in force, and their use."""

    budget: Budget
    limits: BudgetLimits
    usage: tuple[Usage, ...]


class Budgets:
    """The budgets of projects and keys, over one store.

    Methods that take a project or a key raise `ProjectNotFoundError` or `KeyNotFoundError`, also
    for one that the caller does not see. `bill` returns the bill of a job that has ended.
    """

    def __init__(
        self,
        store: BudgetsStore,
        catalog: Catalog,
        *,
        bill: Callable[[Job], Bill],
        clock: Clock,
    ) -> None:
        self._store = store
        self._units = priced_units(catalog)
        self._bill = bill
        self._clock = clock

    async def of_project(self, caller: Caller, project: str) -> BudgetStatus:
        """Return the budget of a project, by its id or name."""
        caller.require(Scope.READ)
        return await self._read(project_owner(await self._project(caller, project)))

    async def of_key(self, caller: Caller, key_id: str) -> BudgetStatus:
        """Return the budget of a key."""
        caller.require(Scope.READ)
        return await self._read(key_owner((await self._key(caller, key_id)).id))

    async def set_project(self, caller: Caller, project: str, limits: BudgetLimits) -> BudgetStatus:
        """Replace the limits of a project. Raises `InvalidRequestError`.

        Limits below what is in use are kept; they let no more jobs in.
        """
        caller.require(Scope.OPERATOR)
        found = await self._project(caller, project)
        return await self._set(caller, found, project_owner(found), limits)

    async def set_key(self, caller: Caller, key_id: str, limits: BudgetLimits) -> BudgetStatus:
        """Replace the limits of a key, as `set_project`. Only the operator sets `unknown_price`."""
        caller.require(Scope.ADMIN)
        if limits.unknown_price is not None:
            caller.require(Scope.OPERATOR)
        key = await self._key(caller, key_id)
        return await self._set(caller, key.project, key_owner(key.id), limits)

    async def raise_project(
        self, caller: Caller, project: str, raised: BudgetLimits, until: Instant
    ) -> BudgetStatus:
        """Let a project have higher limits until then.

        Raises `InvalidRequestError`, or `BudgetNotSetError` if it has no limits.
        """
        caller.require(Scope.OPERATOR)
        found = await self._project(caller, project)
        return await self._raise(caller, found, project_owner(found), raised, until)

    async def raise_key(
        self, caller: Caller, key_id: str, raised: BudgetLimits, until: Instant
    ) -> BudgetStatus:
        """Let a key have higher limits until then, as `raise_project`."""
        caller.require(Scope.ADMIN)
        key = await self._key(caller, key_id)
        return await self._raise(caller, key.project, key_owner(key.id), raised, until)

    async def _project(self, caller: Caller, project: str) -> str:
        found = await self._store.project(project, seen_by=caller.sees)
        if found is None:
            raise ProjectNotFoundError(project)
        return found.id

    async def _key(self, caller: Caller, key_id: str) -> ApiKey:
        return await self._store.api_key(key_id, seen_by=caller.sees)

    async def _read(self, owner: str) -> BudgetStatus:
        now = self._clock.now()
        return _status(await self._store.budget(owner, now), now)

    async def _set(
        self, caller: Caller, project: str, owner: str, limits: BudgetLimits
    ) -> BudgetStatus:
        check_limits(limits, self._units)
        now = self._clock.now()
        entry = AuditEntry.by(caller, now, Action.BUDGET_SET, owner, project)
        with _naming(owner):
            state = await self._store.set_budget(owner, limits, now, self._bill, entry)
            return _status(state, now)

    async def _raise(
        self, caller: Caller, project: str, owner: str, raised: BudgetLimits, until: Instant
    ) -> BudgetStatus:
        check_limits(raised, self._units)
        now = self._clock.now()
        check_raise((await self._store.budget(owner, now)).budget.limits, raised, until, now)
        entry = AuditEntry.by(caller, now, Action.BUDGET_RAISED, owner, project)
        with _naming(owner):
            state = await self._store.raise_budget(owner, raised, until, now, entry)
            return _status(state, now)


@contextmanager
def _naming(owner: str) -> Iterator[None]:
    try:
        yield
    except CommitUnknownError as error:
        raise error.naming(budget=owner) from error


def _status(state: BudgetState, now: Instant) -> BudgetStatus:
    limits = state.budget.at(now)
    return BudgetStatus(state.budget, limits, usage(limits, state.sums, now))
