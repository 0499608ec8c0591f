"""Probing as a unit: probes are read in batches, at a steady pace."""

import asyncio
from itertools import pairwise

from reelhook.core.wakeups import WebhookTraffic
from reelhook.engine.delivering.deliver import READ_AGAIN_SECONDS
from reelhook.engine.delivering.probing import (
    APART_MILLISECONDS,
    CALM_SECONDS,
    DEFERRED_SECONDS_MAX,
    GATHER_SECONDS,
    PROBE_SECONDS,
    PROBES_AT_ONCE,
    Probing,
)


def test_a_probe_goes_when_it_is_due() -> None:
    probing = Probing(WebhookTraffic())
    assert probing.allowed(5000) == PROBES_AT_ONCE
    probing.sent(0, 5000)
    assert probing.seconds_left(5000) is None
    assert probing.allowed(5000) == PROBES_AT_ONCE


def test_the_probes_of_a_batch_go_before_the_next_batch_and_each_within_its_promised_time() -> None:
    batch = PROBES_AT_ONCE * PROBE_SECONDS * 1000
    assert batch <= APART_MILLISECONDS
    read_again = READ_AGAIN_SECONDS * 1000
    assert APART_MILLISECONDS + batch + read_again + DEFERRED_SECONDS_MAX * 1000 <= 550


async def test_probes_wait_while_webhooks_go_to_healthy_receivers_but_not_for_long() -> None:
    traffic, loop = WebhookTraffic(), asyncio.get_running_loop()
    probing = Probing(traffic)
    traffic.note()
    await probing.calm(probing.deadline())
    assert traffic.quiet_seconds >= CALM_SECONDS
    busy = WebhookTraffic(lambda: 0.0)  # something happens at every moment
    busy.note()
    await Probing(busy).calm(loop.time() + CALM_SECONDS)


def test_the_next_ones_go_a_moment_later_together() -> None:
    probing = Probing(WebhookTraffic())
    probing.sent(1, 5000)
    assert probing.allowed(5000 + APART_MILLISECONDS - 1) == 0
    assert probing.seconds_left(5050) == (APART_MILLISECONDS - 50) / 1000
    assert probing.allowed(5000 + APART_MILLISECONDS) == PROBES_AT_ONCE
    assert probing.seconds_left(5000 + APART_MILLISECONDS) is None


def test_probes_are_put_off_once_for_other_deliveries() -> None:
    probing = Probing(WebhookTraffic())
    assert probing.alone
    probing.put_off()
    assert not probing.alone
    probing.sent(1, 5000)
    assert probing.alone


def test_a_clock_that_is_set_back_stops_no_probes() -> None:
    probing = Probing(WebhookTraffic())
    probing.sent(1, 5_000_000)
    assert probing.allowed(5000) == PROBES_AT_ONCE


async def test_failures_of_a_batch_are_recorded_together() -> None:
    probing = Probing(WebhookTraffic())
    probing.sent(3, 5000)
    recorded: list[int] = []

    async def fail(number: int) -> None:
        await asyncio.sleep(number * 0.001)
        await probing.gather()
        recorded.append(number)

    failures = [asyncio.create_task(fail(number)) for number in range(3)]
    await asyncio.wait(failures, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)
    assert sorted(recorded) == [0, 1, 2]


async def test_a_lone_failure_is_recorded_at_once() -> None:
    probing = Probing(WebhookTraffic())
    probing.sent(1, 5000)
    async with asyncio.timeout(GATHER_SECONDS / 2):
        await probing.gather()


async def test_the_event_loop_serves_others_after_each_probe_that_was_recorded() -> None:
    probing = Probing(WebhookTraffic())
    loop = asyncio.get_running_loop()
    continued: list[int] = []
    between: list[int] = []

    async def probe(number: int) -> None:
        await probing.turn()
        continued.append(number)

    def other() -> None:
        between.append(len(continued))
        if len(continued) < 20:
            loop.call_soon(other)

    loop.call_soon(other)
    await asyncio.gather(*map(probe, range(20)))
    assert continued == list(range(20))
    assert max(after - before for before, after in pairwise(between)) == 1
