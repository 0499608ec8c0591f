"""A receiver that is down for a while, and what it saw."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web
from engine_clock import ManualClock
from engine_stage import Stage


@dataclass(frozen=True)
class Arrival:
    at: float
    """In seconds."""
    webhook_id: str
    accepted: bool


@dataclass
class Outage:
    """Refuses with `status` and `headers` until it is `over`."""

    clock: ManualClock
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    over: bool = False
    arrivals: list[Arrival] = field(default_factory=list)
    under_way: int = 0
    under_way_max: int = 0

    @property
    def accepted(self) -> list[str]:
        """The ids of the webhooks that it took, in order, without their digests."""
        return [one.webhook_id for one in self.arrivals if one.accepted]

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        name, _, _ = request.headers["webhook-id"].rpartition("-")
        arrival = Arrival(self.clock.now() / 1000, name, self.over)
        self.arrivals.append(arrival)
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            await asyncio.sleep(0.001)
        finally:
            self.under_way -= 1
        if arrival.accepted:
            return web.Response(status=204)
        return web.Response(status=self.status, headers=self.headers)


@dataclass
class Held:
    """Answers each request when the test says so. `waiting` are the events to set, in order."""

    waiting: list[asyncio.Event] = field(default_factory=list)
    open: bool = False
    jobs: list[str] = field(default_factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        gate = asyncio.Event()
        self.jobs.append((await request.json())["jobId"])
        if not self.open:
            self.waiting.append(gate)
            await gate.wait()
        return web.Response(status=204)

    def let_all(self) -> None:
        """Answer everything from now on."""
        self.open = True
        for gate in self.waiting:
            gate.set()
        self.waiting.clear()


def outage(here: Stage, status: int = 500, **headers: str) -> Outage:
    """Let the receiver at `here.hook` be down from now on."""
    down = Outage(here.time, status, {name.replace("_", "-"): it for name, it in headers.items()})
    here.receivers.manners["/hook"] = down
    return down


def tries_counted(here: Stage) -> list[int]:
    """How many attempts each event that was tried has used up, most first."""
    rows = here.query("SELECT count(*) FROM attempts WHERE NOT probe GROUP BY event_id")
    return sorted((number for (number,) in rows), reverse=True)
