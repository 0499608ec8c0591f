"""A played server on a clock that stands still, and a client of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from reelhook.simulator.faults import Faults
from reelhook.simulator.flavour import Flavour
from reelhook.simulator.server import RunningSimulator, running
from simulator.flavour_probes import MODEL

KEY = {"Authorization": "Bearer key"}


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Stage:
    flavour: Flavour
    server: RunningSimulator
    session: aiohttp.ClientSession
    clock: Hand

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(
            method, f"{self.server.base_url}/{path}", headers=KEY, **options
        ) as response:
            body = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(body) if is_json else body

    async def create(self, **fields: str | bytes) -> Any:
        """Create a job by a form, which each of them takes; return it."""
        form = aiohttp.FormData(default_to_multipart=True)
        common = {"prompt": "A fox", **MODEL.get(self.flavour.name, {})}
        for name, value in {**common, **fields}.items():
            file = {"filename": "a.png", "content_type": "image/png"}
            form.add_field(name, value, **(file if isinstance(value, bytes) else {}))
        status, video = await self.ask("POST", "videos", data=form)
        assert status == self.flavour.created_status, video
        return video

    def engine(self, video: Any) -> Any:
        """Return what reached the engine for a job."""
        return self.server.simulator.jobs[video["id"]].engine

    async def ended(self) -> None:
        self.clock.seconds += 60


@asynccontextmanager
async def playing(flavour: Flavour, **faults: Any) -> AsyncIterator[Stage]:
    clock = Hand()
    chosen = Faults(**{"queue_seconds": 1, "render_seconds": 11, **faults})
    async with (
        running(chosen, random=Random(1), clock=clock, flavour=flavour) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Stage(flavour, server, session, clock)
