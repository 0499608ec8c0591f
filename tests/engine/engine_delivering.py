"""Helpers for tests of delivering: report the steps of a job, and see what arrived."""

import asyncio
from collections.abc import Iterable
from random import Random
from typing import Any

from aiohttp import web
from engine_stage import Engine, Stage
from engine_upstream import Respond

from reelhook.domain.delivery import Delivery
from reelhook.ports import DueDeliveries, Settlement
from reelhook.storage.store import Store

DELIVER_ALONE = frozenset({"deliver"})


async def tell(engine: Engine, job_id: str, *steps: int | str) -> None:
    """Tell of progress (a number) or of a status, one event each."""
    for step in steps:
        if isinstance(step, int):
            await engine.service.update_status(job_id, "processing", step)
        else:
            await engine.service.update_status(job_id, step, None)


async def tell_all(engine: Engine, job_ids: Iterable[str], *steps: int | str) -> None:
    """Tell the same of many jobs at once."""
    await asyncio.gather(*(tell(engine, job_id, *steps) for job_id in job_ids))


def told(here: Stage, job_id: str) -> list[Any]:
    """What arrived of the job: progress as a number, other changes as a status."""
    return [
        body["progress"] if body["status"] == "processing" else body["status"]
        for body in (one.body for one in here.receivers.of(job_id))
    ]


async def arrivals(here: Stage, engine: Engine, seconds: float) -> list[float]:
    """Let time pass; return when webhooks arrived, in seconds from now on.

    What arrived already arrived now: nobody can tell whether a `tell` ends before its webhook.
    """
    start, seen = here.time.now(), 0
    end = start + round(seconds * 1000)
    came: list[float] = []
    while True:
        await engine.settled()
        came += [(here.time.now() - start) / 1000] * (len(here.receivers.webhooks) - seen)
        seen = len(here.receivers.webhooks)
        if here.time.now() >= end:
            return came
        due_at = here.time.next_due_at
        here.time.advance((min(end, due_at or end) - here.time.now()) / 1000)


def fails_at_times(share: float) -> Respond:
    """Refuse that share of the requests, and respond to each after a short while."""
    chance = Random(3)

    async def respond(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(chance.random() / 100)
        return web.Response(status=500 if chance.random() < share else 204)

    return respond


class Sluggish(Store):
    """Answers late, each time differently: what it says may be history by then."""

    random = Random(7)

    async def due_deliveries(self, *args: Any, **options: Any) -> DueDeliveries:
        due = await super().due_deliveries(*args, **options)
        await asyncio.sleep(self.random.random() / 50)
        return due

    async def settle(self, settlement: Settlement) -> Delivery | None:
        await asyncio.sleep(self.random.random() / 50)
        moved = await super().settle(settlement)
        await asyncio.sleep(self.random.random() / 50)
        return moved
