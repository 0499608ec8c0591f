import asyncio
import threading
from ipaddress import ip_address

import pytest

from reelhook.webhooks.networks import IPAddress
from reelhook.webhooks.resolver import SystemLookUp

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
    with pytest.raises(OSError, match="1 look-ups are waiting"):
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
