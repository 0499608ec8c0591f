import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from ipaddress import ip_address, ip_network

import pytest

from reelhook.guard.addresses import AddressPolicy, LookUpsBusyError, check_registration
from reelhook.guard.networks import IPAddress
from reelhook.guard.resolver import PENDING_MAX, RESERVED, SystemLookUp, domain_of

LOOPBACK_ADDRESSES = {ip_address("127.0.0.1"), ip_address("::1")}


async def test_the_systems_own_names_are_found() -> None:
    found = await SystemLookUp()("localhost")
    assert found
    assert set(found) <= LOOPBACK_ADDRESSES


async def test_a_name_that_cant_exist_is_not_found() -> None:
    with pytest.raises(OSError, match=r".+"):
        await SystemLookUp()("a" * 64 + ".invalid")


async def test_look_ups_do_not_wait_for_one_another() -> None:
    answered = threading.Event()

    def addresses_of(name: str) -> list[IPAddress]:
        if name == "slow":
            answered.wait(5)
        return [ip_address("127.0.0.1")]

    look_up = SystemLookUp(addresses_of=addresses_of)
    slow = [asyncio.create_task(look_up("slow")) for _ in range(50)]
    for _ in range(20):
        assert await look_up("quick") == [ip_address("127.0.0.1")]
    assert not any(task.done() for task in slow)
    answered.set()
    await asyncio.gather(*slow)


async def test_look_ups_that_hang_are_counted_though_nobody_waits_for_them_any_more() -> None:
    answered = threading.Event()

    def addresses_of(_: str) -> list[IPAddress]:
        answered.wait(5)
        return []

    look_up = SystemLookUp(pending_max=1, addresses_of=addresses_of)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(look_up("slow"), 0.01)
    with pytest.raises(LookUpsBusyError, match="1 look-ups are waiting"):
        await look_up("slow")
    answered.set()
    while True:
        try:
            assert await look_up("slow") == []
        except OSError:
            await asyncio.sleep(0.001)  # the thread's end is yet to reach the loop
        else:
            break


def test_a_look_up_that_outlives_its_loop_does_no_harm() -> None:
    answered, ended = threading.Event(), threading.Event()

    def addresses_of(_: str) -> list[IPAddress]:
        answered.wait(5)
        ended.set()
        return []

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(SystemLookUp(addresses_of=addresses_of)("slow"), 0.01)

    asyncio.run(give_up())
    answered.set()
    assert ended.wait(5)


# -- name servers that hang ------------------------------------------------------------------------

HEALTHY = [ip_address("203.0.113.9")]


class NameServers:
    """Answer at once, but for the domains that hang until the test ends."""

    def __init__(self, *hanging: str) -> None:
        self.hanging = hanging
        self.answer = threading.Event()
        self.asked: list[str] = []

    def __call__(self, name: str) -> list[IPAddress]:
        self.asked.append(name)
        if name.endswith(self.hanging) and not self.answer.wait(30):
            raise OSError("timed out")
        return HEALTHY


@pytest.fixture
def servers() -> Iterator[NameServers]:
    one = NameServers(".attacker.example", ".attacker.co.uk", ".internal")
    yield one
    one.answer.set()


@contextlib.asynccontextmanager
async def many(look_up: SystemLookUp, names: Iterable[str]) -> AsyncIterator[None]:
    """Ask for many names at once, for as long as the block runs."""
    tasks = [asyncio.create_task(look_up(name)) for name in names]
    await asyncio.sleep(0)  # each has its turn, waits for it, or was refused
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_domain_whose_name_servers_hang_keeps_nobody_else_waiting(
    servers: NameServers,
) -> None:
    look_up = SystemLookUp(addresses_of=servers, slot_seconds=0.05)
    async with many(look_up, (f"{n}.attacker.example" for n in range(2 * PENDING_MAX))):
        assert await look_up("healthy.example") == HEALTHY
        assert await look_up("healthy.attacker.com") == HEALTHY
        with pytest.raises(LookUpsBusyError, match=r"look-ups of attacker\.example are waiting"):
            await look_up("one-more.attacker.example")
    assert len(servers.asked) < 20


async def test_domains_under_a_shared_suffix_are_told_apart(servers: NameServers) -> None:
    look_up = SystemLookUp(addresses_of=servers, slot_seconds=0.05)
    async with many(look_up, (f"{n}.attacker.co.uk" for n in range(PENDING_MAX))):
        assert await look_up("hooks.healthy.co.uk") == HEALTHY


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("a.b.example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("a.com.io", "a.com.io"),
        ("a.b.example.io", "example.io"),
        ("gpu", "gpu"),
    ],
)
def test_names_of_one_owner_share_their_limit(name: str, domain: str) -> None:
    assert domain_of(name) == domain


async def test_many_names_of_a_healthy_domain_wait_for_one_another_and_are_all_answered() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def addresses_of(_: str) -> list[IPAddress]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return HEALTHY

    look_up = SystemLookUp(addresses_of=addresses_of, slot_seconds=60)
    found = await asyncio.gather(*(look_up(f"{n}.tenants.example") for n in range(100)))
    assert found == [HEALTHY] * 100
    assert 1 < most <= 8


async def test_a_domain_that_hung_is_asked_again_once_its_look_ups_have_ended(
    servers: NameServers,
) -> None:
    look_up = SystemLookUp(addresses_of=servers, per_domain_max=2, slot_seconds=0.01)
    async with many(look_up, ["1.attacker.example", "2.attacker.example"]):
        with pytest.raises(LookUpsBusyError):
            await look_up("3.attacker.example")
        servers.answer.set()
        while True:
            try:
                assert await look_up("3.attacker.example") == HEALTHY
            except LookUpsBusyError:
                await asyncio.sleep(0.001)  # the threads' ends are yet to reach the loop
            else:
                break


async def test_whoever_leaves_while_waiting_for_a_turn_takes_none(servers: NameServers) -> None:
    look_up = SystemLookUp(addresses_of=servers, per_domain_max=1, slot_seconds=60)
    async with many(look_up, ["1.attacker.example"]):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(look_up("2.attacker.example"), 0.001)
        last = asyncio.create_task(look_up("3.attacker.example"))
        servers.answer.set()
        assert await last == HEALTHY
    assert servers.asked == ["1.attacker.example", "3.attacker.example"]


async def test_many_hung_domains_leave_places_to_those_that_answered_before() -> None:
    servers = NameServers(".test")
    look_up = SystemLookUp(addresses_of=servers)
    assert await look_up("known.example") == HEALTHY
    try:
        async with many(look_up, (f"{n}.{n // 8}.test" for n in range(PENDING_MAX))):
            with pytest.raises(LookUpsBusyError, match=f"{PENDING_MAX} look-ups are waiting"):
                await look_up("unknown.example")
            for _ in range(RESERVED + 1):
                assert await look_up("hooks.known.example") == HEALTHY
    finally:
        servers.answer.set()


async def test_our_own_limit_refuses_no_registration(servers: NameServers) -> None:
    look_up = SystemLookUp(addresses_of=servers, per_domain_max=1, slot_seconds=0)
    policy = AddressPolicy((ip_network("203.0.113.0/24"),))
    async with many(look_up, ["1.attacker.internal"]):
        await check_registration("http://2.attacker.internal/", policy, look_up)
