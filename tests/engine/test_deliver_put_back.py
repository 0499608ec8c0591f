"""What could not be sent for want of resources here is no failure of its receiver's."""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

from aiohttp import AddrInfoType
from engine_clock import ManualClock
from engine_delivering import DELIVER_ALONE, tell_all
from engine_stage import LOOPBACK, Stage, stage

from reelhook.guard.networks import IPAddress
from reelhook.guard.resolver import SystemLookUp
from reelhook.webhooks.connection import open_socket
from reelhook.webhooks.sender import AiohttpSender

HOUR = 3600


class NameServers:
    """Those of `hung.example` answer when they are told to, all others at once."""

    def __init__(self) -> None:
        self.answer = threading.Event()

    def __call__(self, name: str) -> list[IPAddress]:
        if name.endswith("hung.example"):
            self.answer.wait(30)
        return [ip_address("127.0.0.1")]


@contextlib.asynccontextmanager
async def sending(here: Stage) -> AsyncIterator[NameServers]:
    """Send with two look-ups per domain, both taken for as long as name servers hang."""
    servers = NameServers()
    look_up = SystemLookUp(addresses_of=servers, per_domain_max=2, slot_seconds=0)
    async with AiohttpSender(LOOPBACK, now=here.clock.now, look_up=look_up) as sender:
        here.options["sender"] = lambda _: sender
        hung = [asyncio.create_task(look_up(f"{n}.hung.example")) for n in range(2)]
        await asyncio.sleep(0)
        try:
            yield servers
        finally:
            servers.answer.set()
            await asyncio.gather(*hung)


def at(here: Stage, name: str) -> str:
    return here.hook.replace("127.0.0.1", name)


def attempts(here: Stage) -> list[tuple[int, str | None]]:
    return here.query("SELECT number, error FROM attempts ORDER BY id")


async def test_a_look_up_that_must_wait_burns_no_attempt_and_opens_no_breaker(
    tmp_path: Path,
) -> None:
    jobs = [f"job_{number}" for number in range(30)]
    async with (
        stage(tmp_path, loops=DELIVER_ALONE) as here,
        sending(here) as servers,
        here.engine() as engine,
    ):
        await engine.register(jobs, at(here, "app.hung.example"))
        await engine.register(["healthy"], at(here, "app.healthy.example"))
        await tell_all(engine, [*jobs, "healthy"], "completed")
        await engine.settled()
        assert [one.body["jobId"] for one in here.receivers.webhooks] == ["healthy"]
        await engine.pass_time(2 * HOUR)
        assert attempts(here) == [(1, None)]
        assert await engine.endpoints.held_back() == []
        assert await engine.store.deliveries_waiting() == 30

        servers.answer.set()
        await engine.pass_time(3 * 60)
        assert {one.body["jobId"] for one in here.receivers.webhooks} == {*jobs, "healthy"}
        assert attempts(here) == [(1, None)] * 31


async def test_while_it_waits_little_is_asked_of_the_store(tmp_path: Path) -> None:
    async with (
        stage(tmp_path, loops=DELIVER_ALONE) as here,
        sending(here),
        here.engine() as engine,
    ):
        await engine.register(["job"], at(here, "app.hung.example"))
        await tell_all(engine, ["job"], "completed")
        await engine.pass_time(HOUR)
        waits = [one for one in here.logs if "Webhook waits" in one["event"]]
        assert 30 <= len(waits) <= 65  # once a minute or two, once it has waited for a while


class NoDescriptors:
    """Has no socket left until `some`."""

    def __init__(self) -> None:
        self.some = False

    def open_socket(self, info: AddrInfoType) -> socket.socket:
        if not self.some:
            raise OSError(errno.EMFILE, "Too many open files")
        return open_socket(info)


async def test_neither_does_a_process_without_descriptors(tmp_path: Path) -> None:
    descriptors = NoDescriptors()
    async with stage(tmp_path, loops=DELIVER_ALONE) as here:
        assert isinstance(here.clock, ManualClock)
        async with (
            AiohttpSender(
                LOOPBACK, now=here.clock.now, open_socket=descriptors.open_socket
            ) as sender,
            here.engine(sender=lambda _: sender) as engine,
        ):
            await engine.register(["job"], here.hook)
            await tell_all(engine, ["job"], "completed")
            await engine.pass_time(HOUR)
            assert (attempts(here), here.receivers.webhooks) == ([], [])
            descriptors.some = True
            await engine.pass_time(3 * 60)
            assert attempts(here) == [(1, None)]
