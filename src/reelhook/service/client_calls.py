"""The use cases for calls that client libraries repeat without a key; see `domain.client_call`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from random import Random
from typing import TypeVar

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.client_call import CallNotSettledError, ClientCall
from reelhook.domain.errors import DATABASE_FAILURES
from reelhook.domain.ids import new_id
from reelhook.ports import ClientCallStore, ClientTry, Clock, Created, JobWrites, NewJob

T = TypeVar("T")
REMEMBERED_MAX = 100_000
REPORT_SECONDS_MAX = 1.0
"""The longest time for which a response waits for its report: the database may be away."""
WAITS_MAX = 4
"""The most times that one try waits: each response to an equal call makes that fresh again."""


class ClientCalls:
    """The calls of clients. `process` names this process, if others use the database too.

    Reports raise no error of the database: they only make the next match likelier to be right.
    """

    def __init__(
        self, store: ClientCallStore, process: str | None, *, clock: Clock, random: Random
    ) -> None:
        self._store = store
        self._process = process
        self._clock = clock
        self._random = random
        self._used: set[tuple[str, str]] = set()

    def tried(self, caller: Caller, call: ClientCall) -> ClientTry:
        """Return a try of a call that arrives now."""
        caller.require(Scope.SUBMIT)
        now = self._clock.now()
        holder = _holder_of(caller)
        return ClientTry(holder, call, new_id("call", now, self._random), now, self._process)

    async def replay(self, caller: Caller, call: ClientCall) -> Created | None:
        """Return the job of an earlier try of the same call; None if there is none.

        A count that can't be remembered repeats nothing: it could be sent without end.
        """
        caller.require(Scope.SUBMIT)
        if call.count is not None and not call.mark:
            return None
        one = self.tried(caller, call)
        if not await self._store.is_repeated(one):
            return None  # known without a write
        job_id = await settled(self._store.join, one, self._clock)
        return None if job_id is None else Created(job_id, replayed=True)

    async def used(self, caller: Caller, job_id: str) -> None:
        """Record that a client has used a job's id, so it has received the response.

        That is written once per job, and then remembered. It is no proof for a client without
        counts: others have read the job.
        """
        caller.require(Scope.READ)
        holder = _holder_of(caller)
        if (holder, job_id) in self._used:
            return
        async with _reporting():  # the next use tries it again
            call_hash = await self._store.unused_call(holder, job_id)
            if call_hash is not None:
                await self._store.use_job(call_hash, job_id)
            if len(self._used) >= REMEMBERED_MAX:
                self._used.clear()
            self._used.add((holder, job_id))

    async def written(self, caller: Caller, job_id: str, call: ClientCall) -> None:
        """Record that the whole response with this job was written."""
        caller.require(Scope.SUBMIT)
        async with _reporting():
            await self._store.use_job(self.tried(caller, call).hash, job_id)

    async def lost(self, caller: Caller, job_id: str, call: ClientCall) -> None:
        """Record that the response with this job could not be written."""
        caller.require(Scope.SUBMIT)
        async with _reporting():
            await self._store.lose_response(self.tried(caller, call), job_id)

    async def refused(self, caller: Caller, call: ClientCall) -> None:
        """Record that a try was refused in a way that makes the client try again."""
        caller.require(Scope.SUBMIT)
        if call.count is not None:
            async with _reporting():
                await self._store.refuse_call(self.tried(caller, call))


@asynccontextmanager
async def _reporting() -> AsyncIterator[None]:
    with suppress(*DATABASE_FAILURES, TimeoutError):
        async with asyncio.timeout(REPORT_SECONDS_MAX):
            yield


async def create_once_settled(store: JobWrites, new: NewJob, clock: Clock) -> Created:
    """Store a job, or return that of an equal call. A fresh response is left to its own client."""
    if new.client_try is None:
        return await store.create(new)
    return await settled(
        lambda one: store.create(replace(new, client_try=one)), new.client_try, clock
    )


async def settled(act: Callable[[ClientTry], Awaitable[T]], one: ClientTry, clock: Clock) -> T:
    """Act on a try as soon as the call that it belongs to is known."""
    for _ in range(WAITS_MAX):
        try:
            return await act(one)
        except CallNotSettledError as error:
            await clock.wait(asyncio.Event(), max(0, error.until - clock.now()) / 1000)
        one = replace(one, at=clock.now())
    return await act(replace(one, waits=False))


def _holder_of(caller: Caller) -> str:
    """Return the client of a call: a project, and its key."""
    return caller.project if caller.key_id is None else f"{caller.project}/{caller.key_id}"
