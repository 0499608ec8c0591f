"""Workers on one database: who turns which loops, and what becomes of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from engine_clock import ManualClock
from engine_waiting import until
from migrated_database import prepare
from storage.postgres_databases import emptied_database

from reelhook.core.facts import emitter
from reelhook.core.wakeups import Signal
from reelhook.domain.errors import StoreError
from reelhook.engine.leases import Leases
from reelhook.engine.runner import Runner, RunningTasks
from reelhook.engine.worker import Worker, WorkerIdentity
from reelhook.ports import Lease
from reelhook.storage.open import open_store
from reelhook.storage.operation import Database, Operation, Statement, Target
from reelhook.storage.store import Store
from reelhook.telemetry.facts import log_fact

ACCOUNT = "account:openai"
LEASE_SECONDS = 30.0
TENDING = LEASE_SECONDS / 3


class CountingLoop:
    """Counts its ticks. Its tasks end when the test says so."""

    name = "counting"

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.signal = asyncio.Event()
        self.tasks = RunningTasks(self.signal)
        self.ticks = 0

    async def tick(self) -> float | None:
        self.ticks += 1
        return None


class Away(Store):
    """A store that can be away."""

    away = False

    async def heartbeat(self, *given: object) -> tuple[list[Lease], int]:
        if self.away:
            raise StoreError("The database is away")
        return await super().heartbeat(*given)  # type: ignore[arg-type] # passed on as they came

    async def release(self, *given: object, leaving: bool) -> None:
        if self.away:
            raise StoreError("The database is away")
        await super().release(*given, leaving=leaving)  # type: ignore[arg-type] # as above


@dataclass
class Member:
    """One worker, in a process of its own as it were."""

    name: str
    store: Away
    clock: ManualClock
    tell: "Team"
    busy: set[int] = field(default_factory=set)
    loops: list[CountingLoop] = field(default_factory=list)
    boottime: float = 0.0

    def __post_init__(self) -> None:
        self.leases = Leases(lambda: self.clock.unix_seconds() + self.boottime)
        self.runner = Runner([], self.clock, look_seconds=1.0)
        self.changed = Signal("leases", lambda _: self.tell.pass_on(self))
        self.worker = Worker(
            self.store,
            self.leases,
            self.runner,
            {ACCOUNT: self._make},
            self.busy.__contains__,
            WorkerIdentity(self.name, LEASE_SECONDS),
            changed=self.changed,
            taken=Signal("deliver", lambda _: None),
            emit=emitter(log_fact),
            clock=self.clock,
        )

    def _make(self, lease: Lease) -> list[CountingLoop]:
        self.loops.append(CountingLoop(lease))
        return [self.loops[-1]]

    @property
    def lanes(self) -> set[int]:
        return set(self.leases.lanes())

    @property
    def turning(self) -> list[CountingLoop]:
        return [loop for loop in self.loops if not loop.tasks.draining]


@dataclass
class Team:
    """Workers on one database, in one time."""

    database: Database
    clock: ManualClock
    stack: AsyncExitStack
    members: list[Member] = field(default_factory=list)

    def pass_on(self, teller: Member) -> None:
        for member in self.members:
            if member is not teller:
                member.changed.set()

    async def join(self, name: str) -> Member:
        member = Member(name, Away(self.database), self.clock, self)
        self.members.append(member)
        await member.worker.start()
        self.stack.push_async_callback(self.leave, member)
        return member

    async def leave(self, member: Member) -> None:
        if member in self.members:
            member.store.away = False
            await member.worker.stop(0.2)
            self.members.remove(member)

    async def tended(self) -> None:
        """Let everyone send heartbeats, until nothing changes any more."""
        for _ in range(3):
            self.clock.advance(TENDING)
            await asyncio.sleep(0.1)
            await until(lambda: all(self.clock.awaits(one.changed) for one in self.members))

    async def run_out(self, member: Member) -> None:
        """Let the time of a worker's leases pass for the database."""

        def expire() -> Operation[None]:
            yield Statement("UPDATE leases SET lease_until = 1 WHERE owner = ?1", (member.name,))
            yield Statement("UPDATE workers SET seen_until = 1 WHERE id = ?1", (member.name,))

        await self.database.write(expire)


@pytest.fixture(params=["sqlite", "postgresql"])
async def team(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Team]:
    async with (
        _target(request, tmp_path) as target,
        open_store(target) as database,
        AsyncExitStack() as stack,
    ):
        yield Team(database, ManualClock(), stack)


@asynccontextmanager
async def _target(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Target]:
    if request.param == "sqlite":
        prepare(folder / "reelhook.db")
        yield folder / "reelhook.db"
    else:
        async with emptied_database(request.getfixturevalue("postgres_url")) as url:
            yield url


async def test_a_worker_alone_turns_everything(team: Team) -> None:
    one = await team.join("one")
    assert one.lanes == set(range(16))
    await until(lambda: [loop.ticks for loop in one.loops] == [1])


async def test_a_second_worker_gets_half_of_the_lanes_and_no_loop_turns_twice(team: Team) -> None:
    one = await team.join("one")
    two = await team.join("two")
    assert two.lanes == set()
    await team.tended()
    assert (len(one.lanes), len(two.lanes)) == (8, 8)
    assert one.lanes | two.lanes == set(range(16))
    assert (len(one.turning), len(two.turning)) == (1, 0)


async def test_while_something_is_under_way_a_lane_is_not_handed_over(team: Team) -> None:
    one = await team.join("one")
    one.busy.update(range(16))
    two = await team.join("two")
    await team.tended()
    assert (len(one.lanes), two.lanes) == (8, set())  # nothing begins in those that are left
    one.busy.clear()
    team.clock.advance(0.1)
    await until(lambda: len(one.leases.held()) == 9)  # eight lanes, and the account
    await team.tended()
    assert len(two.lanes) == 8


async def test_what_is_being_given_away_is_not_begun_anew(team: Team) -> None:
    one = await team.join("one")
    gate = asyncio.Event()
    one.loops[0].tasks.spawn(_waiting(gate))
    one.worker._begin_hand_over(one.loops[0].lease, 30)
    await team.tended()
    assert len(one.loops) == 1
    gate.set()
    await until(lambda: [loop.lease.epoch for loop in one.loops] == [1, 2])


async def test_a_worker_that_leaves_hands_everything_over_at_once(team: Team) -> None:
    one, two = await team.join("one"), await team.join("two")
    await team.tended()
    await team.leave(one)
    await until(lambda: len(two.lanes) == 16)  # without any time passing: a signal woke it
    assert [loop.lease for loop in two.turning] == [Lease(ACCOUNT, 2)]


async def test_what_is_told_while_a_worker_tends_is_not_lost(team: Team) -> None:
    one, two = await team.join("one"), await team.join("two")
    await team.tended()
    heartbeat, gate = two.store.heartbeat, asyncio.Event()

    async def slow(*given: Any) -> tuple[list[Lease], int]:
        answer = await heartbeat(*given)
        await gate.wait()  # what it read is old by then
        return answer

    two.store.heartbeat = slow  # type: ignore[method-assign] # one answer that takes its time
    two.changed.set()
    await until(lambda: not two.changed.is_set())
    await team.leave(one)
    two.store.heartbeat = heartbeat  # type: ignore[method-assign] # as above
    gate.set()
    await until(lambda: len(two.lanes) == 16)


async def test_what_is_under_way_may_end_before_it_is_handed_over(team: Team) -> None:
    one, two = await team.join("one"), await team.join("two")
    await team.tended()
    gate = asyncio.Event()
    one.loops[0].tasks.spawn(_waiting(gate))
    busy = min(one.lanes)
    one.busy.add(busy)
    leaving = asyncio.create_task(one.worker.stop(20))
    await until(lambda: len(two.lanes) == 15)
    assert two.turning == []
    assert one.leases.good(one.loops[0].lease)  # its paid call may still be written down
    gate.set()
    await until(lambda: len(two.turning) == 1)
    one.busy.clear()
    team.clock.advance(0.1)
    await until(lambda: len(two.lanes) == 16)
    await leaving
    team.members.remove(one)


async def test_what_does_not_end_is_cut_off_and_handed_over(team: Team) -> None:
    one, two = await team.join("one"), await team.join("two")
    await team.tended()
    one.loops[0].tasks.spawn(_waiting(asyncio.Event()))
    one.busy.update(range(16))
    await team.leave(one)
    await until(lambda: len(two.lanes) == 16 and len(two.turning) == 1)
    assert len(one.loops[0].tasks) == 0


async def test_a_worker_that_died_is_replaced_when_its_leases_run_out(team: Team) -> None:
    one, two = await team.join("one"), await team.join("two")
    await team.tended()
    one.store.away = True
    await team.tended()
    assert len(two.lanes) == 8
    await team.run_out(one)
    await team.tended()
    assert len(two.lanes) == 16
    assert [loop.lease for loop in two.turning] == [Lease(ACCOUNT, 2)]


async def test_a_worker_that_was_suspended_acts_for_nothing_once_it_wakes(team: Team) -> None:
    one = await team.join("one")
    await until(lambda: one.loops[0].ticks == 1)
    one.boottime += 0.81 * LEASE_SECONDS
    assert one.lanes == set()
    one.loops[0].signal.set()
    await until(lambda: team.clock.awaits(one.loops[0].signal))
    assert one.loops[0].ticks == 1
    await team.tended()  # nobody has taken anything meanwhile
    assert one.lanes == set(range(16))
    one.loops[0].signal.set()
    await until(lambda: one.loops[0].ticks > 1)
    assert len(one.loops) == 1


async def test_a_worker_that_lost_its_leases_ends_their_loops(team: Team) -> None:
    one = await team.join("one")
    one.store.away = True
    two = await team.join("two")
    await team.run_out(one)
    await team.tended()
    assert len(two.lanes) == 16
    one.store.away = False
    await team.tended()
    assert one.turning == []
    assert (len(one.lanes), len(two.lanes)) == (8, 8)


async def test_while_the_database_is_away_a_worker_goes_on_only_as_long_as_its_leases_last(
    team: Team,
) -> None:
    one = await team.join("one")
    one.store.away = True
    team.clock.advance(TENDING)
    await until(lambda: team.clock.awaits(one.changed))
    assert len(one.lanes) == 16
    for _ in range(2):
        team.clock.advance(TENDING)
        await until(lambda: team.clock.awaits(one.changed))
    assert one.lanes == set()
    one.store.away = False
    await team.tended()
    assert one.lanes == set(range(16))


async def test_what_could_not_be_released_is_kept(team: Team) -> None:
    one = await team.join("one")
    two = await team.join("two")
    release = Away.release

    async def refused(*_given: object, **_named: object) -> None:
        raise StoreError("The database is away")

    one.store.release = refused  # type: ignore[method-assign] # it is away for this call alone
    await team.tended()
    assert len(one.lanes | two.lanes) == 16
    one.store.release = release.__get__(one.store)  # type: ignore[method-assign] # as above
    await team.tended()
    assert (len(one.lanes), len(two.lanes)) == (8, 8)


async def _waiting(gate: asyncio.Event) -> None:
    await gate.wait()
